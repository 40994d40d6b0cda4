//! What systemd is to know of the process (`sd_notify(3)`): that it serves, that it stops, who follows it, and that it
//! is alive. Without systemd nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::record::Metrics;

/// Between two looks at the workers where no watchdog asks for them.
const LOOK: Duration = Duration::from_secs(10);

fn send(states: &[NotifyState<'_>]) {
    if let Err(problem) = sd_notify::notify(states) {
        tracing::warn!(%problem, "systemd cannot be notified");
    }
}

/// Whether somebody waits for notifications.
pub(super) fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The process serves, or serves on after a reload.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload or the hand-over to a successor has begun; [`ready`] ends it.
pub(super) fn reloading(status: &str) {
    // `Type=notify-reload` wants the time with it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now, NotifyState::Status(status)]),
        Err(problem) => tracing::warn!(%problem, "there is no monotonic time"),
    }
}

/// How far it is, for people.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The process ends.
pub(super) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Another process is the service from now on. Nothing may be sent after it: it would be taken for the other's.
pub(super) fn successor(pid: u32) {
    send(&[NotifyState::MainPid(pid)]);
}

/// The time after which systemd takes a silent process for dead.
pub(super) fn watchdog_time() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|time| !time.is_zero())
}

/// Looks whether every worker takes up a task, and counts when one does not: within a quarter of systemd's `time`, and
/// twice in it, for systemd is to hear so. Without systemd every ten seconds.
pub(super) async fn keep_alive(workers: Vec<Handle>, time: Option<Duration>, metrics: &Metrics) {
    let mut ticks = interval(time.map_or(LOOK, |time| time / 2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if are_alive(&workers, time.map_or(LOOK / 2, |time| time / 4)).await {
            if time.is_some() {
                send(&[NotifyState::Watchdog]);
            }
        } else {
            metrics.worker_stalled();
            tracing::error!(
                "a worker takes up no task{}",
                if time.is_some() { ": systemd's watchdog is not answered" } else { "" }
            );
        }
    }
}

/// Whether each worker takes up a task within `time`.
async fn are_alive(workers: &[Handle], time: Duration) -> bool {
    let asked: Vec<_> = workers.iter().map(|worker| worker.spawn(async {})).collect();
    timeout(time, async {
        for answer in asked {
            if answer.await.is_err() {
                return false;
            }
        }
        true
    })
    .await
    .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_worker_that_is_held_up_is_not_alive() {
        let runtime =
            || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (control, free, held) = (runtime(), runtime(), runtime());
        let workers = [free.handle().clone(), held.handle().clone()];
        let alive = |time| control.block_on(are_alive(&workers, time));
        assert!(alive(Duration::from_secs(60)));
        let (go_on, wait) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel();
        held.spawn(async move {
            began.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        assert!(!alive(Duration::from_millis(50)));
        go_on.send(()).unwrap();
        assert!(alive(Duration::from_secs(60)), "and is again");
        held.shutdown_background();
        assert!(!alive(Duration::from_secs(60)), "a runtime that is gone is dead");
    }
}
