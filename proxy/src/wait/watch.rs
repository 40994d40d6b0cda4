//! A page that waits, from its first question to the end of its stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_config::settings::Rate;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::judge::{Answer, Page};
use crate::clock;
use crate::limit::Quota;
use crate::listener::{EventStream, UnsentEvent};
use crate::record::{WaitBy, WaitEnd, WaitRefused};
use crate::session::Session;
use crate::session::revocation::Standing;
use crate::state::State;
use crate::waiting::{Group, Place, Told, Waiter};

/// How often one user's pages of one app are decided.
const PACE: Rate = Rate { count: 1, per: Duration::from_secs(1), burst: 1 };
/// How often a page is told "still", and decided even where nothing that we know of has moved.
const BEAT: Duration = Duration::from_secs(10);
/// How long a stream lasts, and up to how much longer: the next one comes with the cookies of then.
const LIFE: Duration = Duration::from_secs(60);
const LIFE_MORE_MS: u64 = 20_000;
/// Between the decisions of two pages that are woken at once, and the longest until the last.
const SPREAD: Duration = Duration::from_micros(100);
const SPREAD_MAX: Duration = Duration::from_secs(2);

/// After how many milliseconds a client opens its next stream, from and up to how many more.
#[derive(Clone, Copy)]
struct Retry(u64, u64);

/// When a connection breaks: the network may have changed, which is what the page waits for.
const AT_ONCE: Retry = Retry(100, 300);
/// When its session is over: there may be a new one, or nobody.
const WITH_NEW_COOKIES: Retry = Retry(200, 100);
/// When it has made room for windows that were opened later.
const IN_A_WHILE: Retry = Retry(15_000, 5_000);
/// When the process ends: to its successor, and not all at the same time.
const TO_SUCCESSOR: Retry = Retry(1_000, 3_000);

/// How a page began to wait.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It has an answer, and no stream.
    Answered(Answer),
    /// It has a stream.
    Watching(Box<Watch>),
    /// It may not, for now.
    Refused(WaitRefused),
}

/// A page with a stream, and what it was told first.
#[derive(Debug)]
pub(crate) struct Watch {
    state: &'static State,
    page: Page,
    place: Place,
    first: Answer,
    /// The session that was decided for last.
    session: Option<Arc<Session>>,
    turns: u64,
}

/// A page asks once.
pub(crate) async fn begin_poll(state: &'static State, page: Page) -> Begun {
    state.metrics.waiting.asked(WaitBy::Poll);
    if take_turn(state, &page).is_exceeded {
        return refused(state, WaitRefused::TooOften);
    }
    match page.ask(state).await {
        (Answer::Foreign, _) => refused(state, WaitRefused::Foreign),
        (answer, _) => Begun::Answered(answer),
    }
}

/// A page asks for a stream; `network` is that of its client, and `max` how many streams there may be.
pub(crate) async fn begin_stream(state: &'static State, page: Page, network: u64, max: usize) -> Begun {
    state.metrics.waiting.asked(WaitBy::Stream);
    let Ok(place) = state.waiting.take(Waiter::new(page.handle(), network), max) else {
        return refused(state, WaitRefused::Full);
    };
    let paced = tokio::select! {
        () = turn(state, &page) => true,
        told = ended(&place) => { let (Told::Look | Told::Sessions | Told::ComeAgain | Told::Replaced | Told::Drain) = told; false }
    };
    if !paced {
        return refused(state, WaitRefused::TooOften);
    }
    match page.ask(state).await {
        (Answer::Foreign, _) => refused(state, WaitRefused::Foreign),
        (first, session) => Begun::Watching(Box::new(Watch { state, page, place, first, session, turns: 0 })),
    }
}

fn refused(state: &State, why: WaitRefused) -> Begun {
    state.metrics.waiting.refused(why);
    Begun::Refused(why)
}

fn take_turn(state: &State, page: &Page) -> Quota {
    let now_unix_ms = clock::millis(clock::unix_time());
    state.limits.count_wait(&Group::of(page.handle()), PACE, now_unix_ms)
}

/// Ends when the user's pages of this app may be decided once more.
async fn turn(state: &State, page: &Page) {
    loop {
        let quota = take_turn(state, page);
        if !quota.is_exceeded {
            return;
        }
        sleep(quota.wait.max(Duration::from_millis(20))).await;
    }
}

/// Ends when a place may not be kept.
async fn ended(place: &Place) -> Told {
    loop {
        match place.told().await {
            // Nothing was decided yet: there is nothing to look at again.
            Told::Look | Told::Sessions => {}
            told => return told,
        }
    }
}

impl Watch {
    /// Tells the page what it may do, until it comes in or goes away.
    pub(crate) async fn run(mut self, mut events: EventStream) {
        let why = match self.serve(&mut events).await {
            Ok(why) => why,
            Err(UnsentEvent::Gone) => WaitEnd::Client,
            Err(UnsentEvent::Stalled) => WaitEnd::Unread,
        };
        self.state.metrics.waiting.ended(why);
        events.end().await;
    }

    async fn serve(&mut self, events: &mut EventStream) -> Result<WaitEnd, UnsentEvent> {
        let began = Instant::now();
        let retry = self.retry(AT_ONCE);
        events.send(Bytes::from(format!("{retry}{}", event(self.first)))).await?;
        if self.first == Answer::ComeIn {
            return Ok(WaitEnd::ComeIn);
        }
        let life = sleep_until(began + LIFE + Duration::from_millis(self.chance(LIFE_MORE_MS)));
        let mut life = std::pin::pin!(life);
        let mut beats = interval_at(began + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_beat = tokio::select! {
                biased;
                () = events.gone() => return Ok(WaitEnd::Client),
                told = self.place.told() => match told {
                    Told::Look => {
                        sleep(self.spread()).await;
                        false
                    }
                    Told::Sessions => match self.standing() {
                        Standing::Stands => continue,
                        Standing::Ended => return self.leave(events, WITH_NEW_COOKIES, WaitEnd::Over).await,
                        Standing::LookAgain => false,
                    },
                    Told::ComeAgain => return self.leave(events, WITH_NEW_COOKIES, WaitEnd::Over).await,
                    Told::Replaced => return self.leave(events, IN_A_WHILE, WaitEnd::Replaced).await,
                    Told::Drain => return self.leave(events, TO_SUCCESSOR, WaitEnd::Drain).await,
                },
                () = &mut life => return Ok(WaitEnd::Life),
                _ = beats.tick() => true,
            };
            turn(self.state, &self.page).await;
            let (answer, session) = self.page.ask(self.state).await;
            self.session = session;
            match answer {
                Answer::ComeIn => {
                    events.send(Bytes::from_static(event(Answer::ComeIn).as_bytes())).await?;
                    return Ok(WaitEnd::ComeIn);
                }
                Answer::Foreign => return self.leave(events, WITH_NEW_COOKIES, WaitEnd::Over).await,
                // Only by the clock: when policies were changed is nobody's business.
                Answer::Still if is_beat => {
                    events.send(Bytes::from_static(event(Answer::Still).as_bytes())).await?;
                }
                Answer::Still => {}
            }
        }
    }

    /// What has become of the page's session. It has none where a token was in a cookie of the app's.
    fn standing(&self) -> Standing {
        let known = self.session.as_ref().zip(self.state.sessions());
        known.map_or(Standing::Stands, |(session, sessions)| sessions.standing(session))
    }

    async fn leave(
        &mut self,
        events: &mut EventStream,
        retry: Retry,
        why: WaitEnd,
    ) -> Result<WaitEnd, UnsentEvent> {
        let retry = self.retry(retry);
        events.send(Bytes::from(format!("{retry}\n"))).await?;
        Ok(why)
    }

    /// The line that says when to come again (HTML Living Standard, section 9.2.6).
    fn retry(&mut self, Retry(from, more): Retry) -> String {
        format!("retry: {}\n", from + self.chance(more))
    }

    /// How long to wait with a decision that many pages wait for at once.
    fn spread(&mut self) -> Duration {
        let company = u32::try_from(self.place.company()).unwrap_or(u32::MAX);
        let longest = SPREAD.saturating_mul(company).min(SPREAD_MAX);
        Duration::from_micros(self.chance(u64::try_from(longest.as_micros()).unwrap_or(0)))
    }

    /// A number below `end`: of the request's id, which is chance for the most part.
    fn chance(&mut self, end: u64) -> u64 {
        self.turns += 1;
        // The low half of a UUID of version 7 (RFC 9562, section 5.7), another part of it each time.
        let drawn = (self.page.request_id().0 as u64).wrapping_mul(self.turns.wrapping_mul(2) | 1);
        (drawn >> 16).checked_rem(end).unwrap_or(0)
    }
}

/// What a page is told.
const fn event(answer: Answer) -> &'static str {
    match answer {
        Answer::ComeIn => "data: come-in\n\n",
        Answer::Still | Answer::Foreign => "data: still\n\n",
    }
}
