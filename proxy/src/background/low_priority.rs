//! Work for which no request must wait: loads, scrapes, and the freeing of former snapshots.
//!
//! Each piece has a thread of its own, of low priority: where there are more threads than processors, requests
//! go first. And when a thread ends, the allocator takes over what it left and returns to the system what
//! has been free for a second, which it does for no pooled thread.

use tokio::sync::oneshot;

/// The priority of such a thread, as `nice` has it.
const NICE: i32 = 10;

/// Does some work on a thread of its own; `None` when it ended early.
pub(crate) async fn spawn_low_priority<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // On Linux, a priority is a thread's. Where it cannot be lowered, the work runs at the usual one.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        // The caller may have stopped waiting.
        drop(done.send(work()));
    };
    if let Err(problem) = std::thread::Builder::new().name("background".to_owned()).spawn(run) {
        tracing::error!(%problem, "no thread can be started for work in the background");
    }
    result.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_work_runs_at_a_low_priority_and_a_panic_of_it_is_seen() {
        let priority = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).ok();
        let before = priority();
        // The tests themselves may run at a lower one.
        assert!(spawn_low_priority(priority).await.flatten().is_some_and(|priority| priority >= NICE));
        assert_eq!(priority(), before, "this thread keeps its own");
        assert_eq!(spawn_low_priority(|| panic!("for the test")).await, None::<()>);
    }
}
