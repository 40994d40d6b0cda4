//! Addresses that a test must name before a process binds them, and addresses at which nobody shall listen.
//!
//! A port that was bound as port 0 and released again belongs to whoever comes next: the kernel gives it to another
//! port 0, or to an outgoing connection. So these ports lie outside the range of which the kernel takes those, and are
//! claimed in blocks: a block belongs to the process that holds a UDP socket at its first port, until that process ends.
//! `proxy/tests/frame.py` claims in the same manner, so that both can run at once.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// The blocks begin here.
const FIRST: u16 = 10_000;
/// And end below.
const END: u16 = 32_000;
/// Ports of one block. Each block costs its process one descriptor.
const BLOCK: u16 = 50;

/// What this process has claimed.
struct Claims {
    /// At the first port of each block; they are held until the process ends.
    sockets: Vec<UdpSocket>,
    /// Which block is looked at next.
    next: u16,
    /// Ports that were not given away yet.
    free: Vec<u16>,
}

static CLAIMS: Mutex<Option<Claims>> = Mutex::new(None);

/// An address of loopback that this process alone may name, as long as it runs. Nobody listens there.
pub(crate) fn free_address() -> SocketAddr {
    // A test that failed meanwhile has left nothing half done.
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    let claims = claims.get_or_insert_with(Claims::new);
    loop {
        let port = claims.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Another program may listen there that knows nothing of claims.
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Claims {
    fn new() -> Self {
        let blocks = (END - FIRST) / BLOCK;
        // Processes that start together begin at different places.
        let next = u16::try_from(std::process::id() * 7 % u32::from(blocks)).unwrap();
        Self { sockets: Vec::new(), next, free: Vec::new() }
    }

    fn port(&mut self) -> u16 {
        if self.free.is_empty() {
            self.claim();
        }
        self.free.pop().unwrap()
    }

    /// Claims another block.
    fn claim(&mut self) {
        let blocks = (END - FIRST) / BLOCK;
        let taken = ephemeral();
        for _ in 0..blocks {
            let first = FIRST + self.next * BLOCK;
            self.next = (self.next + 1) % blocks;
            let last = first + (BLOCK - 1);
            if taken.contains(&first) || taken.contains(&last) {
                continue;
            }
            if let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, first)) {
                self.sockets.push(claim);
                self.free.extend((first..=last).rev());
                return;
            }
        }
        panic!(
            "no ports are left between {FIRST} and {END}: other tests have them, or the kernel gives ports {taken:?} to anybody (net.ipv4.ip_local_port_range)"
        );
    }
}

/// The ports that the kernel gives to whoever does not ask for a certain one.
fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let mut ends = text.split_whitespace().map(|end| end.parse().unwrap());
    ends.next().unwrap()..=ends.next().unwrap()
}
