//! What checks show of a server: so many in a row that fail leave it out, so many that pass bring it back.

use portcullis_config::settings::HealthCheck;

/// What the checks so far have shown. A server that was never checked is up; its first check decides alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Active {
    was_checked: bool,
    is_down: bool,
    /// Checks in a row that spoke against what it is taken for.
    against: u32,
}

impl Active {
    /// Takes the result of a check, and says whether the server is down now.
    pub(super) fn take(&mut self, passed: bool, check: &HealthCheck) -> bool {
        let needed = match (self.was_checked, self.is_down) {
            (false, _) => 1,
            (true, false) => check.unhealthy,
            (true, true) => check.healthy,
        };
        self.was_checked = true;
        // What it passes while it is up, and fails while it is down, is what is known already.
        self.against = if passed == self.is_down { self.against.saturating_add(1) } else { 0 };
        if self.against >= needed {
            self.is_down = !passed;
            self.against = 0;
        }
        self.is_down
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_config::settings::{CheckMethod, Statuses};

    use super::*;

    fn downs(results: &str) -> String {
        let check = HealthCheck {
            path: "/".into(),
            host: "wiki.test".into(),
            method: CheckMethod::Get,
            expect: Statuses::new(vec![(200, 299)]),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            healthy: 2,
            unhealthy: 3,
        };
        let mut active = Active::default();
        results.chars().map(|result| if active.take(result == '+', &check) { 'x' } else { '.' }).collect()
    }

    #[test]
    fn so_many_in_a_row_leave_it_out_and_bring_it_back() {
        for (results, expected) in
            [("+--+---", "......x"), ("+---+-++", "...xxxx."), ("-+++", "xx.."), ("--++--+---", "xxx......x")]
        {
            assert_eq!(downs(results), expected, "{results}");
        }
    }
}
