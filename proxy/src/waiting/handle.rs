//! What a page waits for, sealed so that nobody can read, make or lend it: the refused navigation, and whose it was.

use std::fmt;
use std::sync::LazyLock;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use portcullis_config::Config;
use serde::{Deserialize, Serialize};

use crate::seal::{Purpose, Seals};

/// How long a page may wait, or report what it says, in seconds: overnight, and not for ever.
pub const LIFE_SECS: i64 = 24 * 3_600;
/// The longest path that is waited for, in bytes.
pub const TARGET_BYTES_MAX: usize = 1_024;
/// The longest handle that is looked at, in characters.
pub const HANDLE_CHARS_MAX: usize = 2_048;

/// What ended, so that the page may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitFor {
    /// The policies, or something that they need to know, said no.
    Decision,
    /// Keys or sessions could not be asked for: it is not known whose request it was.
    Source,
    /// The app did not answer.
    Upstream,
}

/// A user, or a program, as handles know them: the start of a digest of issuer and id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder([u8; 16]);

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder")
    }
}

impl Holder {
    /// Who has this id at this issuer.
    #[must_use]
    pub fn of(issuer: &str, id: &str) -> Self {
        Self(start_of_digest(&[issuer.as_bytes(), id.as_bytes()]))
    }

    pub(super) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a page waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitHandle {
    /// Whose page it is: what distinguishes two pages of whoever is not known.
    request_id: u128,
    /// The app; all zero for none, so that the length says nothing.
    app: [u8; 8],
    /// Whose request was refused; `None` where that could not be told.
    holder: Option<Holder>,
    waits_for: WaitFor,
    /// Unix seconds.
    made_at: i64,
    /// The path that was asked for by GET, as received, without the query.
    target: String,
}

impl WaitHandle {
    /// A page that is shown instead of this path of an app, by its id. `request_id`: of the refused request.
    #[must_use]
    pub fn new(
        request_id: u128,
        target: String,
        app: Option<&str>,
        holder: Option<Holder>,
        waits_for: WaitFor,
        now: i64,
    ) -> Self {
        Self { request_id, app: app_mark(app), holder, waits_for, made_at: now, target }
    }

    /// The id of the refused request.
    #[must_use]
    pub const fn request_id(&self) -> u128 {
        self.request_id
    }

    /// The path, as received.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whose it is.
    #[must_use]
    pub const fn holder(&self) -> Option<Holder> {
        self.holder
    }

    /// What it waits for.
    #[must_use]
    pub const fn waits_for(&self) -> WaitFor {
        self.waits_for
    }

    /// Whether it is of this app.
    #[must_use]
    pub fn is_of_app(&self, app: Option<&str>) -> bool {
        self.app == app_mark(app)
    }

    /// When it was made, in Unix seconds.
    pub(super) const fn made_at(&self) -> i64 {
        self.made_at
    }

    pub(super) const fn app(&self) -> [u8; 8] {
        self.app
    }
}

fn app_mark(app: Option<&str>) -> [u8; 8] {
    let digest = |id: &str| start_of_digest(&[id.as_bytes()]).first_chunk().copied();
    app.and_then(digest).unwrap_or_default()
}

fn start_of_digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// What seals and opens handles.
#[derive(Debug)]
pub struct WaitHandles(Seals);

/// A key that lasts as long as the process, for an installation that has none: its pages wait until it restarts.
static PASSING_KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).ok().map(|()| key)
});

impl WaitHandles {
    /// The keys are made of those of sessions, or else of those of support codes: replicas that share either open each
    /// other's handles. They are keys of their own, for pages are sealed more often than sessions.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let sessions = config.session.iter().flat_map(|session| &session.keys).map(|key| key.0);
        let support = config.denial.support_keys.iter().map(|key| key.0);
        let all: Vec<[u8; 32]> =
            if config.session.is_some() { sessions.collect() } else { support.collect() };
        let all = if all.is_empty() { PASSING_KEY.iter().copied().collect() } else { all };
        let made: Vec<[u8; 32]> = all.iter().filter_map(made_of).collect();
        Self(Seals::new(&made))
    }

    /// Those of one key.
    #[cfg(test)]
    pub(super) fn of_key(byte: u8) -> Self {
        Self(Seals::new(&[[byte; 32]]))
    }

    /// What they are.
    pub(super) const fn seals(&self) -> &Seals {
        &self.0
    }

    /// Seals one; `None` when its path is too long to be worth it.
    #[must_use]
    pub fn seal(&self, handle: &WaitHandle) -> Option<String> {
        if handle.target.len() > TARGET_BYTES_MAX {
            return None;
        }
        self.0.seal(Purpose::Wait, &postcard::to_allocvec(handle).ok()?)
    }

    /// Opens one; `None` when it is none of ours, or too old at this time (Unix seconds).
    #[must_use]
    pub fn open(&self, text: &str, now: i64) -> Option<WaitHandle> {
        if text.len() > HANDLE_CHARS_MAX {
            return None;
        }
        let opened = self.0.open(Purpose::Wait, text).ok()?;
        let handle: WaitHandle = postcard::from_bytes(&opened).ok()?;
        let age = now.saturating_sub(handle.made_at);
        (-LIFE_SECS..LIFE_SECS).contains(&age).then_some(handle)
    }
}

fn made_of(key: &[u8; 32]) -> Option<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"portcullis.wait");
    tag.as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn handles(byte: u8) -> WaitHandles {
        WaitHandles(Seals::new(&[[byte; 32]]))
    }

    fn handle(target: &str, app: Option<&str>) -> WaitHandle {
        let holder = Some(Holder::of("https://idp.test", "alice"));
        WaitHandle::new(u128::MAX, target.to_owned(), app, holder, WaitFor::Decision, NOW)
    }

    #[test]
    fn a_handle_opens_with_its_key_until_its_life_is_over() {
        let (ours, page) = (handles(1), handle("/reports/2026", Some("wiki")));
        let text = ours.seal(&page).unwrap();
        assert_eq!(ours.open(&text, NOW + LIFE_SECS - 1), Some(page));
        assert_eq!(ours.open(&text, NOW + LIFE_SECS), None, "too old");
        assert_eq!(handles(2).open(&text, NOW), None, "another installation's");
        let mut altered = text.clone().into_bytes();
        altered[40] ^= 1;
        assert_eq!(ours.open(std::str::from_utf8(&altered).unwrap(), NOW), None);
        assert_eq!(ours.open(&"A".repeat(HANDLE_CHARS_MAX + 1), NOW), None);
    }

    #[test]
    fn nothing_of_a_handle_shows_and_its_length_does_not_tell_whether_there_is_an_app() {
        let ours = handles(1);
        let text = ours.seal(&handle("/reports/2026", Some("wiki"))).unwrap();
        assert!(!text.contains("wiki") && !text.contains("reports"));
        let none = ours.seal(&handle("/reports/2026", None)).unwrap();
        assert_eq!(text.len(), none.len());
    }

    #[test]
    fn a_path_that_would_fill_the_page_is_not_waited_for() {
        assert!(handles(1).seal(&handle(&"/".repeat(TARGET_BYTES_MAX + 1), None)).is_none());
        let longest = handles(1).seal(&handle(&"/".repeat(TARGET_BYTES_MAX), None)).unwrap();
        assert!(longest.len() <= HANDLE_CHARS_MAX);
    }

    #[test]
    fn users_of_two_issuers_are_two() {
        assert_ne!(Holder::of("https://a.test", "alice"), Holder::of("https://b.test", "alice"));
        assert_ne!(Holder::of("https://a.test", "alice"), Holder::of("https://a.testa", "lice"));
    }
}
