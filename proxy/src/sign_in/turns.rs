//! How often one sign-in was followed by the next: a browser that is sent round between app and provider is stopped with a
//! page, however good each round was.
//!
//! What is counted is completed sign-ins, not begun ones: ten tabs that a browser opens at once begin ten.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::attempt::{Asked, is_within};
use super::cookie::{Cookies, Kind};
use crate::seal::{Purpose, Seals};

/// Within how many seconds rounds count as one loop.
const LOOP_SECS: i64 = 120;
/// After so many completed sign-ins no further one begins by itself.
const TURNS_MAX: u32 = 2;
/// Different sign-ins of one browser that are followed.
const FOLLOWED_MAX: usize = 6;

/// The rounds of one browser at one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turns(Vec<Turn>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    what: [u8; 8],
    count: u32,
    at: i64,
}

/// What goes round: an app, and what was asked for it. Two step-ups one after the other are no loop.
pub(super) fn what(app: &str, asked: &Asked) -> [u8; 8] {
    let text = format!("{app}\n{asked:?}");
    digest(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
}

impl Turns {
    /// What this browser did lately.
    pub(super) fn of(cookies: &Cookies<'_>, seals: &Seals, now: i64) -> Self {
        let opened = cookies.get(Kind::Turns, "").and_then(|sealed| seals.open(Purpose::Turns, sealed).ok());
        let mut turns: Self = opened.and_then(|bytes| postcard::from_bytes(&bytes).ok()).unwrap_or_default();
        turns.0.retain(|turn| is_within(turn.at, LOOP_SECS, now));
        turns
    }

    /// Whether another round would be one too many.
    pub(super) fn is_loop(&self, what: [u8; 8]) -> bool {
        self.0.iter().any(|turn| turn.what == what && turn.count >= TURNS_MAX)
    }

    /// The line that counts a sign-in that was completed.
    pub(super) fn completed(
        mut self,
        what: [u8; 8],
        now: i64,
        cookies: &Cookies<'_>,
        seals: &Seals,
    ) -> Option<HeaderValue> {
        let count = self.0.iter().find(|turn| turn.what == what).map_or(0, |turn| turn.count);
        self.0.retain(|turn| turn.what != what);
        self.0.insert(0, Turn { what, count: count.saturating_add(1), at: now });
        self.0.truncate(FOLLOWED_MAX);
        let sealed = seals.seal(Purpose::Turns, &postcard::to_stdvec(&self).ok()?)?;
        cookies.set(Kind::Turns, "", &sealed, LOOP_SECS)
    }
}
