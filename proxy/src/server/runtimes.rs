//! The threads: each worker is a runtime of its own, so that requests do not move between threads.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Threads for blocking work of each runtime, such as looking at files.
const BLOCKING_THREADS_MAX: usize = 16;
/// How long blocking work may take to end.
const CUT_TIME: Duration = Duration::from_millis(500);

/// Threads with a runtime each.
#[derive(Debug)]
pub(super) struct Runtimes {
    workers: Vec<Handle>,
    beside: Handle,
    admin: Handle,
    threads: Vec<JoinHandle<()>>,
    end: watch::Sender<bool>,
}

/// A thread that runs a runtime until `end` turns true. What is under way there is dropped then.
fn start(name: &str, mut end: watch::Receiver<bool>) -> io::Result<(Handle, JoinHandle<()>)> {
    let runtime: Runtime =
        Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS_MAX).enable_all().build()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // It ends without its sender, too.
        let _ = runtime.block_on(end.wait_for(|end| *end));
        runtime.shutdown_timeout(CUT_TIME);
    })?;
    Ok((handle, thread))
}

impl Runtimes {
    /// So many workers, and the two others.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(super) fn start(workers: usize) -> io::Result<Self> {
        let (end, wait) = watch::channel(false);
        let mut threads = Vec::new();
        let mut one = |name: &str| {
            start(name, wait.clone()).map(|(handle, thread)| {
                threads.push(thread);
                handle
            })
        };
        let workers = (0..workers).map(|_| one("worker")).collect::<io::Result<_>>()?;
        let (beside, admin) = (one("beside")?, one("admin")?);
        Ok(Self { workers, beside, admin, threads, end })
    }

    /// Where requests are handled.
    pub(super) fn workers(&self) -> &[Handle] {
        &self.workers
    }

    /// Where everything else is done.
    pub(super) const fn beside(&self) -> &Handle {
        &self.beside
    }

    /// Where the admin listener answers.
    pub(super) const fn admin(&self) -> &Handle {
        &self.admin
    }

    /// Ends them: what is still under way is cut.
    pub(super) fn end(self) {
        self.end.send_replace(true);
        for thread in self.threads {
            // A panic of one has been logged, and the process ends anyhow.
            let _ = thread.join();
        }
    }
}
