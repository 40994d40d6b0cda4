//! The end of a process that has served: what is under way finishes within `grace`, the rest is cut, and it is said
//! what was cut.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::error::End;
use super::handover::Successor;
use super::notify;
use super::signals::{Signals, Wish};
use crate::admin::Left;
use crate::listener::Seats;
use crate::record::Metrics;

/// How often the successor hears what is left.
const REPORT: Duration = Duration::from_millis(250);
/// How long what is cut has to say for which app it was, and how often it is asked.
const CUT_TIME: Duration = Duration::from_secs(1);
const CUT_LOOK: Duration = Duration::from_millis(5);

/// Why the process ends.
#[derive(Debug)]
pub(super) enum Cause {
    /// SIGTERM.
    Asked,
    /// Another process serves.
    Succeeded(Successor),
}

/// What is open.
#[derive(Debug)]
pub(super) struct Open {
    /// Who is connected.
    pub(super) seats: Arc<Seats>,
    /// What is under way.
    pub(super) metrics: &'static Metrics,
    /// Turns true when nothing is accepted any more.
    pub(super) drain: watch::Sender<bool>,
    /// The listeners; each ends when it has taken in whom the kernel had accepted.
    pub(super) accepting: JoinSet<()>,
}

/// Accepts nothing any more, and waits until nothing is left, or `grace` is over, or somebody has no more patience.
pub(super) async fn drain(cause: &Cause, grace: Duration, open: &mut Open, signals: &mut Signals) -> End {
    let Open { seats, metrics, drain, accepting } = open;
    drain.send_replace(true);
    let end = Instant::now() + grace;
    let mut reports = interval(REPORT);
    // `systemctl stop` sends SIGTERM to both processes of a hand-over: to this one it is the first.
    let mut asked = matches!(cause, Cause::Asked);
    let finished = async {
        while accepting.join_next().await.is_some() {}
        seats.emptied().await;
    };
    tokio::pin!(finished);
    let why = loop {
        tokio::select! {
            () = &mut finished => {
                tracing::info!("everything under way is finished");
                return End::Finished;
            }
            () = sleep_until(end) => break "`grace` is over",
            wish = signals.next() => match wish {
                Wish::End => break "SIGINT",
                Wish::Finish if asked => break "a second SIGTERM",
                Wish::Finish => asked = true,
                Wish::Reload | Wish::Upgrade | Wish::Nothing => {
                    tracing::info!("the process is about to end; the signal asks for nothing that it still does");
                }
            },
            _ = reports.tick() => {
                let left = Left::of(seats);
                match cause {
                    Cause::Succeeded(successor) => successor.draining(left).await,
                    Cause::Asked => notify::status(&format!("draining: {}", in_words(left))),
                }
            }
        }
    };
    cut(why, cause, seats, metrics).await
}

/// Ends what is unfinished, and says what it was.
pub(super) async fn cut(why: &str, cause: &Cause, seats: &Seats, metrics: &Metrics) -> End {
    let left = Left::of(seats);
    metrics.cut.begin();
    seats.cut();
    if left.requests() == 0 {
        tracing::info!("{why}; no request is under way: {}", in_words(left));
        return End::Finished;
    }
    // A request says for which app it was when its task ends.
    let ended = async {
        while metrics.in_flight() > 0 {
            sleep(CUT_LOOK).await;
        }
    };
    // A thread that does not get so far is not waited for.
    let _ = timeout(CUT_TIME, ended).await;
    tracing::warn!("{why}, and this is cut: {}; by app: {}", in_words(left), metrics.cut.in_words());
    if let Cause::Succeeded(successor) = cause {
        successor.cut(left).await;
    }
    End::Cut
}

/// What is left, for people.
fn in_words(left: Left) -> String {
    let Left { connections, http1_requests, http2_requests, websockets } = left;
    let counted = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    format!(
        "{} by HTTP/1, {http2_requests} by HTTP/2, {}, on {}",
        counted(http1_requests, "request"),
        counted(websockets, "WebSocket"),
        counted(connections, "open connection"),
    )
}
