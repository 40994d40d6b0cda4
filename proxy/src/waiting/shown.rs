//! A refusal that a page of its own shows, because its answer went to a script: what was refused and to whom, sealed as
//! handles are. Nothing of it is shown but the request's id and its time: the request is decided again, for who opens the page.

use serde::{Deserialize, Serialize};

use super::handle::{HANDLE_CHARS_MAX, Holder, TARGET_BYTES_MAX, WaitHandle, WaitHandles};
use crate::seal::Purpose;

/// How long a refusal can be opened as a page of its own, in seconds.
const SHOWN_SECS: i64 = 600;

/// What a page of its own shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRefusal {
    /// What was refused.
    pub refused: WaitHandle,
    /// By which method it was asked for.
    pub method: String,
    /// When, Unix milliseconds.
    pub at_unix_ms: i64,
    /// The host that was asked, lower case, without port.
    pub host: String,
    /// Where its user was: a path of that host.
    pub back: String,
}

impl ShownRefusal {
    /// Whether somebody may see it on this host. Who was nobody then may be anybody now.
    #[must_use]
    pub fn is_for(&self, host: &str, holder: Option<Holder>) -> bool {
        self.host == host && self.refused.holder().is_none_or(|whose| holder == Some(whose))
    }
}

impl WaitHandles {
    /// Seals what a page of its own is to show; `None` when its paths are too long.
    #[must_use]
    pub fn seal_refusal(&self, shown: &ShownRefusal) -> Option<String> {
        if shown.refused.target().len() + shown.back.len() > TARGET_BYTES_MAX {
            return None;
        }
        self.seals().seal(Purpose::Refusal, &postcard::to_allocvec(shown).ok()?)
    }

    /// Opens it; `None` when it is none of ours, or too old at this time (Unix seconds).
    #[must_use]
    pub fn open_refusal(&self, text: &str, now: i64) -> Option<ShownRefusal> {
        if text.len() > HANDLE_CHARS_MAX {
            return None;
        }
        let opened = self.seals().open(Purpose::Refusal, text).ok()?;
        let shown: ShownRefusal = postcard::from_bytes(&opened).ok()?;
        let age = now.saturating_sub(shown.refused.made_at());
        (-SHOWN_SECS..SHOWN_SECS).contains(&age).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::WaitFor;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_refusal_is_shown_to_its_user_for_a_while_and_to_nobody_else() {
        let (ours, alice) = (WaitHandles::of_key(1), Some(Holder::of("https://idp.test", "alice")));
        let refused = WaitHandle::new(7, "/part".to_owned(), Some("wiki"), alice, WaitFor::Decision, NOW);
        let shown = ShownRefusal {
            refused: refused.clone(),
            method: "POST".to_owned(),
            at_unix_ms: NOW * 1_000,
            host: "wiki.test".to_owned(),
            back: "/page".to_owned(),
        };
        let text = ours.seal_refusal(&shown).unwrap();
        assert_eq!(ours.open_refusal(&text, NOW + SHOWN_SECS - 1), Some(shown.clone()));
        assert_eq!(ours.open_refusal(&text, NOW + SHOWN_SECS), None, "too old");
        assert_eq!(WaitHandles::of_key(2).open_refusal(&text, NOW), None, "another installation's");
        assert_eq!(ours.open(&text, NOW), None, "it is no handle");
        assert_eq!(ours.open_refusal(&ours.seal(&refused).unwrap(), NOW), None, "nor is a handle it");
        assert!(shown.is_for("wiki.test", alice));
        assert!(!shown.is_for("shop.test", alice) && !shown.is_for("wiki.test", None));
        assert!(!shown.is_for("wiki.test", Some(Holder::of("https://idp.test", "bob"))));
        let long = ShownRefusal { back: "/".repeat(TARGET_BYTES_MAX), ..shown };
        assert_eq!(ours.seal_refusal(&long), None);
    }
}
