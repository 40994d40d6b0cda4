//! Drives a server with one thread that waits for whichever comes first, an answer or the next
//! request's time, so that what is measured is the server and not the generator.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use serde_json::{Map, Value, json};

use crate::Fallible;
use crate::histogram::{Histogram, Windows};

/// How long answers are waited for after the last request, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;
/// The longest that sending each request once may take, in nanoseconds.
const ONCE_MAX: u64 = 600_000_000_000;
/// Unexpected answers that are reported one by one.
const REPORTED_MAX: usize = 100_000;
/// The event of the timer; other events carry the number of a connection.
const TIMER: u64 = u64::MAX;

/// One request as it goes out, and the answer that it should get.
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: u16,
    /// Asked over a new connection.
    pub(crate) fresh: bool,
}

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Sent in this order, over and over.
    pub(crate) requests: Vec<Request>,
    pub(crate) connections: usize,
    /// Requests per second; with 0, each connection asks again when it was answered.
    pub(crate) rate: u64,
    pub(crate) seconds: f64,
    /// Each request is sent once, and `seconds` says nothing.
    pub(crate) once: bool,
}

/// A request in progress.
#[derive(Clone, Copy)]
struct Flight {
    due: u64,
    index: usize,
}

#[derive(Default)]
struct Connection {
    stream: Option<TcpStream>,
    flight: Option<Flight>,
    /// The start of a head that did not come in one piece.
    partial: Vec<u8>,
    answer: Option<Answer>,
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Bytes of the body that are still to come.
    left: usize,
    close: bool,
}

/// An answer other than the expected one; status 0 is none at all.
struct Unexpected {
    due: u64,
    seen: u64,
    index: usize,
    status: u16,
}

fn header<'h>(line: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let (key, value) = line.split_at_checked(name.len())?;
    key.eq_ignore_ascii_case(name.as_bytes()).then_some(value.trim_ascii())
}

/// Reads a whole head; nothing is written down, so nothing is allocated.
fn head(bytes: &[u8]) -> Option<Answer> {
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    let status = u16::try_from(number(bytes.get(9..12)?)?).ok()?;
    let (mut length, mut close) = (None, false);
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(value) = header(line, "content-length:") {
            length = Some(number(value)?);
        } else if let Some(value) = header(line, "connection:") {
            close = value.eq_ignore_ascii_case(b"close");
        }
    }
    let left = if matches!(status, 204 | 304) { 0 } else { length? };
    Some(Answer { status, left, close })
}

struct Driver<'p> {
    plan: &'p Plan,
    base: Instant,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections without a request in progress, and since when each has been idle.
    free: Vec<usize>,
    free_since: u64,
    scratch: Vec<u8>,
    latencies: Histogram,
    windows: Windows,
    lateness: Histogram,
    statuses: Vec<u64>,
    errors: u64,
    wrong: u64,
    unexpected: Vec<Unexpected>,
}

impl<'p> Driver<'p> {
    fn new(plan: &'p Plan) -> Fallible<Self> {
        let mut driver = Self {
            plan,
            base: Instant::now(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            free: (0..plan.connections).rev().collect(),
            free_since: 0,
            scratch: vec![0; 256 * 1024],
            latencies: Histogram::new(),
            windows: Windows::new(),
            lateness: Histogram::new(),
            statuses: vec![0; 1_000],
            errors: 0,
            wrong: 0,
            unexpected: Vec::new(),
        };
        for number in 0..plan.connections {
            let stream = Some(driver.connect(number)?);
            driver.connections.push(Connection { stream, ..Connection::default() });
        }
        Ok(driver)
    }

    /// Loopback answers at once, so waiting here stalls nothing.
    fn connect(&self, number: usize) -> Fallible<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.plan.address, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
        Ok(stream)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts an answer, or with status 0 that there was none.
    fn finish(&mut self, number: usize, flight: Flight, status: u16, now: u64) {
        if self.free.is_empty() {
            self.free_since = now;
        }
        self.free.push(number);
        let expect = self.plan.requests.get(flight.index).map_or(0, |request| request.expect);
        if status == 0 {
            self.errors += 1;
        } else {
            let took = now.saturating_sub(flight.due);
            self.latencies.record(took);
            self.windows.record(now, took);
            self.wrong += u64::from(status != expect);
            if let Some(count) = self.statuses.get_mut(usize::from(status)) {
                *count += 1;
            }
        }
        if status != expect && self.unexpected.len() < REPORTED_MAX {
            self.unexpected.push(Unexpected { due: flight.due, seen: now, index: flight.index, status });
        }
    }

    fn send(&mut self, number: usize, flight: Flight) {
        let plan = self.plan;
        let Some(request) = plan.requests.get(flight.index) else { return };
        let open = self.connections.get_mut(number).and_then(|one| one.stream.take());
        let stream = match open.filter(|_| !request.fresh) {
            Some(open) => Ok(open),
            None => self.connect(number),
        };
        // A request fits into the empty buffer of a socket; one that does not is an error.
        let written = stream.and_then(|mut stream| match stream.write(&request.bytes)? {
            all if all == request.bytes.len() => Ok(stream),
            _ => Err("a request was cut".into()),
        });
        match (written, self.connections.get_mut(number)) {
            (Ok(stream), Some(connection)) => {
                connection.stream = Some(stream);
                connection.flight = Some(flight);
            }
            _ => {
                let now = self.now();
                self.finish(number, flight, 0, now);
            }
        }
    }

    /// Takes what arrives on a connection.
    fn readable(&mut self, number: usize, now: u64) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(stream) = &mut connection.stream else { return };
        let read = match stream.read(&mut self.scratch) {
            Ok(read) => read,
            Err(problem) if matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return;
            }
            Err(_) => 0,
        };
        let bytes = self.scratch.get(..read).unwrap_or_default();
        let mut arrived = bytes.len();
        let mut broken = read == 0 || connection.flight.is_none();
        if !broken && connection.answer.is_none() {
            if !connection.partial.is_empty() {
                connection.partial.extend_from_slice(bytes);
            }
            let whole = if connection.partial.is_empty() { bytes } else { &connection.partial };
            match memchr::memmem::find(whole, b"\r\n\r\n") {
                Some(end) => {
                    let (text, body) = whole.split_at(end + 4);
                    connection.answer = head(text);
                    broken = connection.answer.is_none();
                    arrived = body.len();
                }
                None => {
                    if connection.partial.is_empty() {
                        connection.partial.extend_from_slice(bytes);
                    }
                    return;
                }
            }
        }
        let mut ended = None;
        if let Some(answer) = &mut connection.answer {
            match answer.left.checked_sub(arrived) {
                Some(0) => ended = Some(*answer),
                Some(left) => answer.left = left,
                None => broken = true,
            }
        }
        if !broken && ended.is_none() {
            return;
        }
        connection.partial.clear();
        connection.answer = None;
        if broken || ended.is_some_and(|answer| answer.close) {
            connection.stream = None;
        }
        if let Some(flight) = connection.flight.take() {
            let status = ended.filter(|_| !broken).map_or(0, |answer| answer.status);
            self.finish(number, flight, status, now);
        }
    }

    fn run(&mut self) -> Fallible<u64> {
        let Plan { rate, requests, connections, .. } = self.plan;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        let mut events = Vec::with_capacity(connections + 1);
        let span = if self.plan.once { ONCE_MAX } else { (self.plan.seconds * 1e9) as u64 };
        let total = match (self.plan.once, *rate) {
            (true, _) => requests.len() as u64,
            (_, 0) => u64::MAX,
            _ => (*rate as f64 * self.plan.seconds) as u64,
        };
        let start = self.now();
        let due = |index: u64| {
            let after = (u128::from(index) * 1_000_000_000).checked_div(u128::from(*rate));
            after.map_or(start, |after| start + after as u64)
        };
        let (mut sent, mut armed) = (0, u64::MAX);
        loop {
            let now = self.now();
            let over = sent >= total || (*rate == 0 && now > start + span);
            while !over && sent < total && due(sent) <= now {
                let Some(number) = self.free.pop() else { break };
                let due = if *rate == 0 { now } else { due(sent) };
                self.lateness.record(now - due.max(self.free_since).min(now));
                self.send(number, Flight { due, index: (sent % requests.len() as u64) as usize });
                sent += 1;
            }
            if (over && self.free.len() == *connections) || now > start + span + PATIENCE {
                return Ok(now - start);
            }
            // With no connection free, only an answer is waited for.
            let wake = match (self.free.is_empty() || sent >= total, over || *rate > 0) {
                (false, _) => due(sent),
                (true, true) => start + span + PATIENCE,
                (true, false) => start + span + 1,
            };
            if wake < armed || armed <= now {
                armed = wake;
                let until = Duration::from_nanos(wake.saturating_sub(now).max(1));
                let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
                let it_value =
                    Timespec { tv_sec: until.as_secs() as i64, tv_nsec: until.subsec_nanos().into() };
                timerfd_settime(
                    &timer,
                    TimerfdTimerFlags::empty(),
                    &Itimerspec { it_interval: zero, it_value },
                )?;
            }
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            let now = self.now();
            for event in events.drain(..) {
                match event.data.u64() {
                    TIMER => armed = u64::MAX,
                    number => self.readable(number as usize, now),
                }
            }
        }
    }
}

/// Nanoseconds for which this thread ran, and for which it waited for a core.
fn scheduled() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let mut words = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
    (words.next().unwrap_or(0), words.next().unwrap_or(0))
}

/// What was seen, and each unexpected answer.
pub(crate) fn drive(plan: &Plan) -> Fallible<(Value, Vec<Value>)> {
    if plan.requests.is_empty() || plan.connections == 0 {
        return Err("nothing to send, or nothing to send it over".into());
    }
    // The kernel's own 50 µs would be added to every wait.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut driver = Driver::new(plan)?;
    let began =
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() - driver.base.elapsed().as_secs_f64();
    let (ran_before, waited_before) = scheduled();
    let took = driver.run()?;
    let (ran, waited) = scheduled();
    let (ran, waited) = ((ran - ran_before) as f64, (waited - waited_before) as f64);
    let busy = (ran + waited) / took.max(1) as f64;
    driver.errors += driver.connections.iter().filter(|one| one.flight.is_some()).count() as u64;
    let seconds = took as f64 / 1e9;
    let (p99, late) = (driver.latencies.millis(0.99), driver.lateness.millis(0.99));
    let statuses: Map<String, Value> = driver
        .statuses
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| (status.to_string(), json!(count)))
        .collect();
    let at = |share| driver.latencies.millis(share);
    let report = json!({
        "requests": driver.latencies.total(), "rps": driver.latencies.total() as f64 / seconds,
        "errors": driver.errors, "wrong": driver.wrong, "seconds": seconds, "statuses": statuses,
        "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": p99, "p999_ms": at(0.999), "max_ms": at(1.0),
        "p99_windows_ms": driver.windows.p99s(), "late_p99_ms": late, "late_max_ms": driver.lateness.millis(1.0), "busy": busy,
        "own_us": ran / 1e3 / driver.latencies.total().max(1) as f64,
        "saturated": plan.rate > 0 && (busy > 0.95 || late > 0.25_f64.max(p99 / 2.0)),
    });
    let unexpected = driver.unexpected.iter().map(|one| {
        let at = |nanos: u64| began + nanos as f64 / 1e9;
        json!({ "due": at(one.due), "seen": at(one.seen), "index": one.index, "status": one.status })
    });
    Ok((report, unexpected.collect()))
}

#[cfg(test)]
mod tests {
    use super::{Answer, head};

    #[test]
    fn a_head_has_status_length_and_whether_the_connection_ends() {
        let parsed = |text: &str| head(text.as_bytes());
        let answer = |status, left, close| Some(Answer { status, left, close });
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), answer(200, 12, false));
        assert_eq!(
            parsed("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
            answer(403, 0, true)
        );
        assert_eq!(parsed("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"), answer(304, 0, false));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(parsed("HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n"), None);
    }
}
