//! Work that requests must not wait for: loads, scrapes, and the freeing of what served before.
//!
//! Each has a thread of its own, of low priority: where there are more threads than processors, requests
//! go first. And when a thread ends, the allocator takes over what it left and returns to the system what
//! has been free for a second, which no pooled thread would make it do.

use tokio::sync::oneshot;

/// Does some work and waits for it; `None` when it ended early.
pub(crate) async fn patiently<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    const PATIENT: i32 = 10;
    let (done, awaited) = oneshot::channel();
    let run = move || {
        // On Linux, a priority is a thread's. Where it cannot be lowered, the work is only less polite.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), PATIENT);
        // Whoever asked may have gone.
        drop(done.send(work()));
    };
    if let Err(problem) = std::thread::Builder::new().name("patient".to_owned()).spawn(run) {
        tracing::error!(%problem, "there is no thread for work in the background");
    }
    awaited.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn patient_work_runs_at_a_low_priority_and_a_panic_of_it_is_told() {
        let priority = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).ok();
        let before = priority();
        // The tests themselves may run at a lower one.
        assert!(patiently(priority).await.flatten().is_some_and(|priority| priority >= 10));
        assert_eq!(priority(), before, "this thread keeps its own");
        assert_eq!(patiently(|| panic!("for the test")).await, None::<()>);
    }
}
