//! What the kernel says of the process, under the names that every exporter gives it.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;

use super::exposition::Page;

/// Adds what can be read; what cannot is left out.
pub(super) fn write(page: &mut Page) {
    page.collected(&ProcessCollector::for_self().collect());
}

#[cfg(test)]
mod tests {
    use super::super::exposition::{Format, Page};

    #[test]
    fn a_process_knows_its_memory_its_files_and_its_age() {
        let mut page = Page::new(Format::Text, 0);
        super::write(&mut page);
        let text = page.end();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_start_time_seconds") > 1e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
