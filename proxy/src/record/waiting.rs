//! What is counted of refusal pages once they are shown: that they wait, and that their users report them.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_policy::words;

use super::exposition::Page;
use super::names;

words! {
    /// How a page asks.
    pub enum WaitBy {
        /// It holds a stream.
        Stream = "stream",
        /// It asks every few seconds.
        Poll = "poll",
    }
}

words! {
    /// Why the stream of a page that waits ended.
    pub enum WaitEnd {
        /// It was told to come in.
        ComeIn = "come-in",
        /// The session or token that it came with is good no more.
        Over = "over",
        /// The client went away.
        Client = "client",
        /// It had lasted long enough: the client opens the next one, with the cookies that it has then.
        Life = "life",
        /// Its user opened further ones for the app.
        Replaced = "replaced",
        /// The client took nothing.
        Unread = "unread",
        /// The process ended.
        Drain = "drain",
    }
}

words! {
    /// Why a page that wants to wait is refused.
    pub enum WaitRefused {
        /// There are `[server.limits] waiting` already, or as many as a network may have whose users are not known.
        Full = "full",
        /// It is somebody else's, or nobody's any more.
        Foreign = "foreign",
        /// Its user and app ask too often.
        TooOften = "too-often",
    }
}

/// Counters of the process.
#[derive(Debug, Default)]
pub struct WaitCounters {
    asked: [AtomicU64; WaitBy::ALL.len()],
    ended: [AtomicU64; WaitEnd::ALL.len()],
    refused: [AtomicU64; WaitRefused::ALL.len()],
    decisions: AtomicU64,
    reported: AtomicU64,
}

impl WaitCounters {
    /// A page asks.
    pub fn asked(&self, by: WaitBy) {
        count(&self.asked, by as usize);
    }

    /// A stream ended.
    pub fn ended(&self, why: WaitEnd) {
        count(&self.ended, why as usize);
    }

    /// A page may not wait.
    pub fn refused(&self, why: WaitRefused) {
        count(&self.refused, why as usize);
    }

    /// A request was decided for a page that waits.
    pub fn decided(&self) {
        self.decisions.fetch_add(1, Ordering::Relaxed);
    }

    /// A user reported a refusal from its page.
    pub fn reported(&self) {
        self.reported.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn write(&self, page: &mut Page, waiting: usize) {
        page.family(&names::WAITING_PAGES).value(&[], waiting);
        let mut group = |family: &'static names::Family, words: &[&str], counts: &[AtomicU64]| {
            let mut samples = page.family(family);
            for (word, count) in words.iter().zip(counts) {
                samples.value(&[word], count.load(Ordering::Relaxed));
            }
        };
        group(&names::WAITING_ASKED, &WaitBy::WORDS, &self.asked);
        group(&names::WAITING_ENDED, &WaitEnd::WORDS, &self.ended);
        group(&names::WAITING_REFUSED, &WaitRefused::WORDS, &self.refused);
        page.family(&names::WAITING_DECISIONS).value(&[], self.decisions.load(Ordering::Relaxed));
        page.family(&names::REPORTED).value(&[], self.reported.load(Ordering::Relaxed));
    }
}

fn count(counts: &[AtomicU64], at: usize) {
    if let Some(count) = counts.get(at) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
