//! The connections of the admin listener. They are few, short, and independent of those of the apps: whatever
//! strangers do at the public listeners, health and metrics are answered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Admin;
use super::status::ADMIN_CONNECTIONS_MAX;

/// For a whole head, and for which a connection may ask nothing.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// For a connection as a whole; a scrape of ten thousand policies takes a second.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// A head of a health check or a scrape.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Descriptors that are held back: given up for a connection when the process has none left.
const SPARE_DESCRIPTORS: usize = 4;
/// When the system refuses to accept.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` turns true. The socket is closed then.
///
/// # Errors
/// When the runtime cannot take the socket.
pub(crate) async fn serve(
    socket: TcpListener,
    admin: Admin,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let admin = Arc::new(admin);
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut spare = Vec::new();
    hold_back(&mut spare);
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                open.retain(|task| !task.is_finished());
                if open.len() >= ADMIN_CONNECTIONS_MAX
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(answer(stream, Arc::clone(&admin))).abort_handle());
                hold_back(&mut spare);
            }
            // One of those held back is free for the connection, which still waits.
            Err(problem) if is_out_of_descriptors(&problem) && spare.pop().is_some() => {}
            Err(problem) => {
                tracing::error!(%problem, "the admin listener accepts nothing");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Opens again what was given up. What cannot be had now is had later.
fn hold_back(spare: &mut Vec<File>) {
    while spare.len() < SPARE_DESCRIPTORS
        && let Ok(file) = File::open("/dev/null")
    {
        spare.push(file);
    }
}

fn is_out_of_descriptors(problem: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| problem.raw_os_error() == Some(errno.raw_os_error()))
}

/// Answers what is asked on one connection.
async fn answer(stream: TcpStream, admin: Arc<Admin>) {
    let local = stream.local_addr().ok().map(|address| address.ip());
    let _counted = admin.status.admin_connection();
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.respond(request, local).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever leaves early or is slow ends its own connection and nothing else.
    let _ = timeout(CONNECTION_TIME, connection).await;
}
