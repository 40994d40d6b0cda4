//! An app that keeps the bytes of each connection apart: what a proxy really wrote, and what it does after an
//! answer that a test made up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What an app does with a request.
pub(crate) enum Reply {
    /// Writes these bytes and waits for the next request.
    Keep(Vec<u8>),
    /// Writes these bytes and closes.
    Close(Vec<u8>),
    /// Writes these bytes, and then copies back what comes.
    Echo(Vec<u8>),
}

impl Reply {
    /// A small answer after which the connection stays.
    pub(crate) fn ok(body: &str) -> Self {
        Self::Keep(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

#[derive(Debug, Default)]
struct Connection {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// One request, as far as its app looks at it.
pub(crate) struct Asked<'r> {
    /// The number of its connection to the app, from 0.
    pub(crate) connection: usize,
    pub(crate) head: &'r str,
}

impl Asked<'_> {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// The app; its threads end with the process.
#[derive(Clone)]
pub(crate) struct RawApp {
    pub(crate) address: String,
    connections: Arc<(Mutex<Vec<Connection>>, Condvar)>,
}

impl RawApp {
    pub(crate) fn start(reply: impl Fn(&Asked<'_>) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = Self { address: listener.local_addr().unwrap().to_string(), connections: Arc::default() };
        let reply = Arc::new(reply);
        let serving = app.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let number = serving.change(|connections| {
                    connections.push(Connection::default());
                    connections.len() - 1
                });
                let (serving, reply) = (serving.clone(), Arc::clone(&reply));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    serving.serve(number, &mut stream, &*reply);
                    let _ = stream.shutdown(Shutdown::Both);
                    serving.change(|connections| connections[number].is_closed = true);
                });
            }
        });
        app
    }

    /// As a TOML list of upstreams.
    pub(crate) fn upstreams(&self) -> String {
        format!("[\"http://{}\"]", self.address)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Connection>) -> T) -> T {
        let changed = change(&mut self.connections.0.lock().unwrap());
        self.connections.1.notify_all();
        changed
    }

    fn serve(&self, number: usize, stream: &mut TcpStream, reply: &impl Fn(&Asked<'_>) -> Reply) {
        let mut buffer = Vec::new();
        while let Some(head) = self.head(number, stream, &mut buffer) {
            let (bytes, next) = match reply(&Asked { connection: number, head: &head }) {
                Reply::Keep(bytes) => (bytes, Some(false)),
                Reply::Echo(bytes) => (bytes, Some(true)),
                Reply::Close(bytes) => (bytes, None),
            };
            if stream.write_all(&bytes).is_err() {
                return;
            }
            match next {
                None => return,
                Some(false) => {}
                Some(true) => {
                    let mut from = buffer.len();
                    while self.more(number, stream, &mut buffer).is_some() {
                        if stream.write_all(&buffer[from..]).is_err() {
                            return;
                        }
                        from = buffer.len();
                    }
                    return;
                }
            }
        }
    }

    /// Reads a request to the end of its body, and gives its head.
    fn head(&self, number: usize, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
        let until = |mark: &[u8], from: usize, buffer: &mut Vec<u8>, stream: &mut TcpStream| loop {
            let found = buffer[from..].windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Some(from + at + mark.len());
            }
            self.more(number, stream, buffer)?;
        };
        let end = until(b"\r\n\r\n", 0, buffer, stream)?;
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let folded = head.to_ascii_lowercase();
        let end = if folded.contains("transfer-encoding: chunked") {
            // The line end before belongs to the last piece, or to the head.
            until(b"\r\n0\r\n\r\n", end - 2, buffer, stream)?
        } else {
            let length = folded.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let end = end + length.map_or(0, |length| length.trim().parse().unwrap());
            while buffer.len() < end {
                self.more(number, stream, buffer)?;
            }
            end
        };
        buffer.drain(..end);
        Some(head)
    }

    fn more(&self, number: usize, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        self.change(|connections| connections[number].bytes.extend_from_slice(&chunk[..read]));
        buffer.extend_from_slice(&chunk[..read]);
        Some(())
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.0.lock().unwrap().len()
    }

    /// All bytes of a connection so far.
    pub(crate) fn bytes(&self, number: usize) -> String {
        let connections = self.connections.0.lock().unwrap();
        connections
            .get(number)
            .map(|own| String::from_utf8_lossy(&own.bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until a connection's bytes hold this text.
    pub(crate) fn wait_for(&self, number: usize, text: &str) {
        self.wait(text, |connections| {
            connections.get(number).is_some_and(|own| String::from_utf8_lossy(&own.bytes).contains(text))
        });
    }

    /// Waits until a connection is closed by the proxy or by the app.
    pub(crate) fn wait_until_closed(&self, number: usize) {
        self.wait("its end", |connections| connections.get(number).is_some_and(|own| own.is_closed));
    }

    fn wait(&self, what: &str, holds: impl Fn(&[Connection]) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut connections = self.connections.0.lock().unwrap();
        while !holds(&connections) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {connections:?}");
            connections = self.connections.1.wait_timeout(connections, left).unwrap().0;
        }
    }
}
