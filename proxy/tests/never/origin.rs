//! The protected app: records every byte that reached it, so that a test can say what passed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the app answers when nothing else is asked.
pub(crate) const BODY: &str = "the app's own words";
/// How much `/large` answers, in bytes: more than sockets hold.
pub(crate) const LARGE: usize = 32 * 1024 * 1024;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// Every value under this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let of = |line: &'_ str| line.split_once(':').map(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head
            .lines()
            .skip(1)
            .filter(|line| of(line) == Some(true))
            .map(|line| line.split_once(':').unwrap().1.trim())
            .collect()
    }

    /// Whether any part of the request has these letters.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.head.contains(text) || String::from_utf8_lossy(&self.body).contains(text)
    }
}

/// The app; its threads end with the process.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            raw: Arc::default(),
        };
        let serving = origin.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        origin
    }

    /// How many requests have arrived.
    pub(crate) fn hits(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The latest request.
    pub(crate) fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    /// All bytes of all connections, in the order in which they were read.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }

    /// Speaks HTTP on one connection until it closes.
    pub(crate) fn serve(&self, mut stream: impl Read + Write) {
        let mut buffer = Vec::new();
        while let Some(seen) = self.request(&mut stream, &mut buffer) {
            let target = seen.target().to_owned();
            let upgrade = !seen.values("upgrade").is_empty();
            self.seen.lock().unwrap().push(seen);
            let alive = match target.split('?').next().unwrap() {
                "/ws" if upgrade => {
                    self.echo(&mut stream);
                    false
                }
                "/ws-never" => {
                    // What the client sends before an answer must not arrive as part of a tunnel.
                    std::thread::sleep(Duration::from_millis(300));
                    self.plain(&mut stream, BODY)
                }
                "/stream" => {
                    ticks(&mut stream);
                    false
                }
                "/wait" => {
                    // Works until nobody waits any more.
                    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
                    false
                }
                "/chunked" => stream
                    .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nthree \r\n6\r\nparts \r\n5\r\nof it\r\n0\r\n\r\n")
                    .is_ok(),
                "/interim" => {
                    stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").is_ok()
                        && self.plain(&mut stream, "at last")
                }
                "/large" => self.plain(&mut stream, &"x".repeat(LARGE)),
                "/early" => stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").is_ok(),
                "/clear" => stream
                    .write_all(b"HTTP/1.1 200 OK\r\nClear-Site-Data: \"cache\", \"cookies\"\r\nContent-Length: 0\r\n\r\n")
                    .is_ok(),
                "/origins" => stream
                    .write_all(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n")
                    .is_ok(),
                "/location" => stream
                    .write_all(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")
                    .is_ok(),
                _ => self.plain(&mut stream, BODY),
            };
            if !alive {
                return;
            }
        }
    }

    fn plain(&self, stream: &mut impl Write, body: &str) -> bool {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).is_ok()
    }

    fn echo(&self, stream: &mut (impl Read + Write)) {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        let mut alive = stream.write_all(head).is_ok();
        let mut chunk = [0; 4096];
        while alive {
            alive = match stream.read(&mut chunk) {
                Ok(read) if read > 0 => {
                    self.raw.lock().unwrap().extend_from_slice(&chunk[..read]);
                    stream.write_all(&chunk[..read]).is_ok()
                }
                _ => false,
            };
        }
    }

    fn more(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => {
                self.raw.lock().unwrap().extend_from_slice(&chunk[..read]);
                buffer.extend_from_slice(&chunk[..read]);
                Some(())
            }
            _ => None,
        }
    }

    fn request(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Seen> {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more(stream, buffer)?;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let mut seen = Seen { head, body: Vec::new() };
        if seen.target().starts_with("/early") {
            return Some(seen);
        }
        if seen.values("transfer-encoding").is_empty() {
            let length = seen.values("content-length").first().map_or(0, |text| text.parse().unwrap_or(0));
            while buffer.len() < length {
                self.more(stream, buffer)?;
            }
            seen.body = buffer.drain(..length).collect();
        } else {
            // Recorded with its framing: trailers would show in it.
            loop {
                let zero = buffer.windows(3).position(|window| window == b"0\r\n");
                if let Some(at) = zero
                    && let Some(end) = buffer[at..].windows(4).position(|window| window == b"\r\n\r\n")
                {
                    seen.body = buffer.drain(..at + end + 4).collect();
                    break;
                }
                self.more(stream, buffer)?;
            }
        }
        Some(seen)
    }
}

/// An answer without end, a word every tenth of a second.
fn ticks(stream: &mut impl Write) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut alive = stream.write_all(head.as_bytes()).is_ok();
    for _ in 0..600 {
        if !alive {
            return;
        }
        alive = stream.write_all(b"6\r\ndata: \r\n").is_ok();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Something on the network that counts who calls, and answers each call with the same bytes.
pub(crate) struct Counter {
    pub(crate) address: String,
    calls: Arc<Mutex<usize>>,
}

impl Counter {
    /// Answers each connection with what `reply` writes.
    pub(crate) fn start(reply: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let calls = Arc::new(Mutex::new(0));
        let counting = Arc::clone(&calls);
        let reply = Arc::new(reply);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                *counting.lock().unwrap() += 1;
                let reply = Arc::clone(&reply);
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 8192]);
                    reply(&mut stream);
                });
            }
        });
        Self { address, calls }
    }

    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

/// A whole HTTP answer, after which the connection closes.
pub(crate) fn json_reply(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
