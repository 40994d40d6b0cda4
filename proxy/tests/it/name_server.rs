//! A small DNS server for tests: UDP and TCP on one port, and answers that a test chooses.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it answers to a question.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// These addresses, as far as they are of the family that is asked for; for so many seconds.
    Addresses(u32, Vec<IpAddr>),
    /// There is no such name.
    NoName,
    /// It cannot tell.
    Fails,
    /// Nothing.
    Silent,
    /// The other reply, after a while.
    After(Duration, Box<Reply>),
    /// By UDP that the answer is too long, and by TCP the other reply.
    Truncated(Box<Reply>),
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) is_v6: bool,
    pub(crate) by_tcp: bool,
}

type Script = Box<dyn Fn(&Question) -> Reply + Send>;

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<Question>>,
}

/// The server; it answers as long as the process lives.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl NameServer {
    pub(crate) fn start(script: impl Fn(&Question) -> Reply + Send + 'static) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared { script: Mutex::new(Box::new(script)), asked: Mutex::default() });
        let by_udp = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut query = [0; 4096];
            while let Ok((count, from)) = udp.recv_from(&mut query) {
                let (query, shared, udp) =
                    (query[..count].to_vec(), Arc::clone(&by_udp), udp.try_clone().unwrap());
                std::thread::spawn(move || {
                    if let Some(answer) = shared.answer(&query, false) {
                        let _ = udp.send_to(&answer, from);
                    }
                });
            }
        });
        let by_tcp = Arc::clone(&shared);
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let shared = Arc::clone(&by_tcp);
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                        if stream.read_exact(&mut query).is_err() {
                            return;
                        }
                        if let Some(answer) = shared.answer(&query, true) {
                            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                            let _ = stream.write_all(&[&length[..], &answer].concat());
                        }
                    }
                });
            }
        });
        Self { address, shared }
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, script: impl Fn(&Question) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Question> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn answer(&self, query: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let (mut at, mut name) = (12, String::new());
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            name.push_str(&String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            name.push('.');
            at = end;
        }
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let question = Question { name, is_v6: kind == 28, by_tcp };
        self.asked.lock().unwrap().push(question.clone());
        let mut reply = (self.script.lock().unwrap())(&question);
        let mut is_cut = false;
        loop {
            reply = match reply {
                Reply::After(pause, then) => {
                    std::thread::sleep(pause);
                    *then
                }
                Reply::Truncated(_) if !by_tcp => {
                    is_cut = true;
                    Reply::Addresses(0, Vec::new())
                }
                Reply::Truncated(then) => *then,
                other => {
                    reply = other;
                    break;
                }
            };
        }
        let (code, ttl, addresses) = match reply {
            Reply::Addresses(ttl, addresses) => (0, ttl, addresses),
            Reply::NoName => (3, 0, Vec::new()),
            Reply::Fails => (2, 0, Vec::new()),
            Reply::Silent | Reply::After(..) | Reply::Truncated(_) => return None,
        };
        let addresses: Vec<IpAddr> =
            addresses.into_iter().filter(|address| address.is_ipv6() == question.is_v6).collect();
        let count = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        let flags = [0x81 | if is_cut { 2 } else { 0 }, 0x80 | code];
        let mut answer = [&query[..2], &flags, &[0, 1], &count, &[0; 4], &query[12..at + 5]].concat();
        for address in addresses {
            let bytes = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            answer.extend([0xC0, 12, query[at + 1], query[at + 2], 0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend([0, u8::try_from(bytes.len()).unwrap()]);
            answer.extend(bytes);
        }
        Some(answer)
    }
}
