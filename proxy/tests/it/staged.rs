//! An app whose answers come when the test says so: what is under way stays under way until then.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Half of what `/download` answers.
pub(crate) const HALF: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Stage {
    /// Targets of the requests whose heads have arrived.
    arrived: Vec<String>,
    is_open: bool,
}

/// The app; its threads end with the process.
#[derive(Clone)]
pub(crate) struct StagedApp {
    pub(crate) address: String,
    stage: Arc<(Mutex<Stage>, Condvar)>,
}

impl StagedApp {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = Self { address: listener.local_addr().unwrap().to_string(), stage: Arc::default() };
        let serving = app.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        app
    }

    /// Lets every answer go that waits, and all later ones.
    pub(crate) fn open(&self) {
        self.stage.0.lock().unwrap().is_open = true;
        self.stage.1.notify_all();
    }

    /// Waits until a request for this target has arrived, so many times.
    pub(crate) fn wait_for(&self, target: &str, times: usize) {
        self.wait(target, |stage| stage.arrived.iter().filter(|one| *one == target).count() >= times);
    }

    fn wait(&self, what: &str, holds: impl Fn(&Stage) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut stage = self.stage.0.lock().unwrap();
        while !holds(&stage) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}: {stage:?}");
            stage = self.stage.1.wait_timeout(stage, left).unwrap().0;
        }
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some(head) = head(&mut reader) {
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            self.stage.0.lock().unwrap().arrived.push(target.clone());
            self.stage.1.notify_all();
            if self.answer(&target, &head, &mut reader, &mut stream).is_none() {
                return;
            }
        }
    }

    /// `None` ends the connection.
    fn answer(
        &self,
        target: &str,
        head: &str,
        reader: &mut BufReader<TcpStream>,
        stream: &mut TcpStream,
    ) -> Option<()> {
        let text = match target {
            "/slow" => {
                self.wait("the test to open the stage", |stage| stage.is_open);
                "slow".to_owned()
            }
            "/download" => {
                let half = "x".repeat(HALF);
                let length = 2 * HALF;
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{half}").ok()?;
                self.wait("the test to open the stage", |stage| stage.is_open);
                return stream.write_all(half.as_bytes()).ok();
            }
            "/upload" => {
                let length = head.to_ascii_lowercase();
                let length = length.split("content-length: ").nth(1)?.lines().next()?.parse().unwrap();
                let mut body = vec![0; length];
                reader.read_exact(&mut body).ok()?;
                format!("{length} bytes")
            }
            "/ws" => {
                let key = "dGhlIHNhbXBsZSBub25jZQ==";
                assert!(head.contains(key), "the tests send the key of RFC 6455: {head}");
                stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                    .ok()?;
                // A first frame of its own, then silence until the other side closes (opcode 8), or leaves.
                stream.write_all(b"\x81\x05hello").ok()?;
                let mut chunk = [0; 64];
                while let Ok(read) = reader.read(&mut chunk)
                    && read > 0
                    && chunk[0] != 0x88
                {}
                return None;
            }
            _ => "quick".to_owned(),
        };
        let length = text.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}").ok()
    }
}

fn head(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
        if &head[before..] == "\r\n" {
            return Some(head);
        }
    }
}
