//! One request between its client and its app: both directions in one task, polled in turn until nothing moves, so that
//! none waits for the other.
//!
//! The app's connection belongs to the exchange: wherever this ends early, dropping closes it.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Session;
use portcullis_config::settings::Timeouts;
use tokio::time::{Instant, Sleep};

use super::client::Client;
use super::downstream::{check_body, close_if_draining, count_unsent, is_call, is_of_events, reauthorize};
use super::forward;
use super::stop::Stop;
use crate::exchange::RequestContext;
use crate::failure::NetworkFailure;
use crate::listener::{Conn, Connection};
use crate::upstream::Stage;
use crate::upstream::leg::{Connector, Event, Exchange, Fault, Sent};

/// How long the client of a tunnel may be silent once its app has ended: most apps have gone then.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What is moved at once before others have their turn: a tenth of a millisecond of work.
const BYTES_AT_ONCE: u64 = 256 << 10;
const ROUNDS_AT_ONCE: u32 = 64;

/// Sends a request that was let in to its app, and the answer to its client.
///
/// It goes out once more where `upstream::Failed` says that it may; what was sent of the body to a server that says that it
/// has not begun is sent anew.
pub(super) async fn forward(
    session: &mut Session,
    ctx: &mut RequestContext,
    connector: &Connector,
) -> Result<(), Stop> {
    let times = ctx.app().map(|app| app.timeouts).ok_or(Stop::Internal("no app"))?;
    let (mut fresh, mut again) = (false, Sent::default());
    loop {
        if let Some(problem) = Client::has_given_up(&mut session.downstream_session).await {
            return Err(Stop::Client(problem));
        }
        let peer = forward::next_peer(ctx)?;
        let connected = match connector.connect(&peer, fresh).await {
            Ok(connected) => connected,
            Err(fault) => {
                // This attempt is over and counted.
                ctx.forwarding.asked_at = None;
                forward::attempt_failed(ctx, &fault, true);
                let failed = (Stage::Connecting, fault.cause());
                if forward::is_sent_again(ctx, &session.req_header().method, failed) {
                    continue;
                }
                return Err(fault.into());
            }
        };
        let is_reused = connected.is_reused();
        ctx.app_metrics().upstream_connected(is_reused);
        let request = forward::request(session, ctx)?;
        let exchange = match connected.ask(&request) {
            Ok(exchange) => exchange,
            Err(fault) => {
                let failed = (Stage::Untouched, fault.cause());
                if fault.is_untouched() && forward::is_sent_again(ctx, &session.req_header().method, failed) {
                    continue;
                }
                return Err(fault.into());
            }
        };
        // Part of the body is here and with nobody else.
        let holds_body = !again.is_empty();
        let mut relay = Relay::new(session, ctx, exchange, times, std::mem::take(&mut again));
        let ended = relay.run().await;
        let is_answered = relay.answers != Answers::Head;
        let Relay { mut exchange, client, again: mut unsent, .. } = relay;
        ctx.bytes_beside += client.bytes_beside();
        let is_of_app = matches!(ended, Err(Stop::Upstream(_)));
        if is_answered
            && !is_of_app
            && let Some(endpoint) = ctx.endpoint()
        {
            endpoint.succeeded();
        }
        let stop = match ended {
            Err(stop @ Stop::Upstream(_)) => stop,
            // However its client fared: the app's connection serves others if nothing of this request is left on it.
            ended => {
                connector.release(exchange, &peer);
                return ended;
            }
        };
        let Stop::Upstream(fault) = &stop else { return Err(stop) };
        let sent = if fault.is_untouched() { exchange.take_sent() } else { None };
        let stage = match sent {
            Some(_) => Stage::Untouched,
            None if fault.is_lost() && !exchange.has_received() && !holds_body => {
                Stage::Sent { reused: is_reused }
            }
            None => return Err(stop),
        };
        if !forward::is_sent_again(ctx, &session.req_header().method, (stage, fault.cause())) {
            return Err(stop);
        }
        // That an idle connection was closed is no failure of the server, nor that it has no room now.
        if stage == (Stage::Sent { reused: false }) {
            ctx.forwarding.asked_at = None;
            forward::attempt_failed(ctx, fault, false);
        }
        fresh |= is_reused && sent.is_none();
        again = sent.unwrap_or_default();
        again.append(&mut unsent);
    }
}

/// What the client still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    /// The request's body, or what it says through a tunnel.
    Body,
    /// Nothing; it is watched whether it goes away.
    Nothing,
    /// Nothing before it was told that the protocol changes.
    AfterSwitch,
    /// Whatever it likes; nobody wants it.
    Unwanted,
}

/// What the app still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// The head, or an interim one.
    Head,
    Body,
    /// Nothing; the end is on its way to the client.
    Ended,
    Over,
}

/// Who is waited for when nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The client, to take what it was sent.
    ClientTakes,
    /// The app, to take what it was sent.
    AppTakes,
    /// The client, for its body.
    Body,
    /// The app, for the head of its answer.
    Head,
    /// The app, for the word that the client waits for before it sends its body. Not every app gives one, so that a client that waits
    /// for ever is late itself.
    Continue,
    /// Whoever says something.
    Anything,
    /// The client of a tunnel, whose app has ended.
    LastWords,
}

/// How far it came.
enum Step {
    Over,
    /// It moves on without a pause, and others have their turn first.
    Much,
}

struct Relay<'r> {
    session: &'r mut Session,
    ctx: &'r mut RequestContext,
    exchange: Exchange,
    client: Client,
    sends: Sends,
    answers: Answers,
    is_tunnel: bool,
    /// Both sides are silent for as long as they like, as in a tunnel.
    is_stream: bool,
    /// The client waits for a word of the app before it sends its body.
    expects: bool,
    client_is_full: bool,
    app_is_full: bool,
    times: Timeouts,
    client_idle: Duration,
    wait: Option<(Wait, Instant)>,
    moved: (u64, u64),
    timer: Option<Pin<Box<Sleep>>>,
    /// What was read of the body for another server, and is sent first.
    again: Sent,
    /// When all of it must be over, unless it is a stream.
    deadline: Option<Instant>,
}

/// Whether the client waits for `100 Continue` (RFC 9110, section 10.1.1): one of HTTP/1.0 does not, whatever it says.
fn waits_for_continue(head: &RequestHeader) -> bool {
    let is_asked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    head.version >= Version::HTTP_11 && head.headers.get(EXPECT).is_some_and(is_asked)
}

impl<'r> Relay<'r> {
    fn new(
        session: &'r mut Session,
        ctx: &'r mut RequestContext,
        exchange: Exchange,
        times: Timeouts,
        again: Sent,
    ) -> Self {
        // Timers are here: those of the session end with each poll of it.
        session.set_read_timeout(None);
        session.set_write_timeout(None);
        let is_whole = session.downstream_session.is_body_done() && again.is_empty();
        let sends = if is_whole { Sends::Nothing } else { Sends::Body };
        let expects = sends == Sends::Body && waits_for_continue(session.req_header());
        // A call may be silent before its answer begins, too.
        let is_call = is_call(session, ctx);
        let client_idle = ctx.snapshot.config.server.client_idle;
        let deadline = times.total.map(|total| Instant::from_std(ctx.started) + total);
        Self {
            session,
            ctx,
            exchange,
            client: Client::default(),
            sends,
            answers: Answers::Head,
            is_tunnel: false,
            is_stream: is_call,
            expects,
            client_is_full: false,
            app_is_full: false,
            times,
            client_idle,
            wait: None,
            moved: (0, 0),
            timer: None,
            again,
            deadline,
        }
    }

    /// Relays until both sides are through.
    async fn run(&mut self) -> Result<(), Stop> {
        let mut turn = None;
        loop {
            let step = poll_fn(|cx| {
                let step = self.poll(cx);
                if step.is_pending() {
                    // Who waits for others has others go on.
                    turn = None;
                }
                step
            });
            match step.await? {
                Step::Over => return Ok(()),
                Step::Much => {
                    tokio::task::yield_now().await;
                    drop(turn.take());
                    turn = match Connection::of(self.session) {
                        Some(connection) => connection.turn().await,
                        None => None,
                    };
                }
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Stop>> {
        let before = self.bytes_moved();
        let mut rounds = 0;
        loop {
            // INVARIANT: both are polled before anything waits, or a wake would be lost.
            let has_sent = self.poll_request(cx)?;
            let has_answered = self.poll_answer(cx)?;
            if self.is_over() {
                return Poll::Ready(Ok(Step::Over));
            }
            if !has_sent && !has_answered {
                break;
            }
            rounds += 1;
            if rounds >= ROUNDS_AT_ONCE || self.bytes_moved() - before >= BYTES_AT_ONCE {
                // What moves without a pause has its time, too.
                return match self.poll_time(cx) {
                    Poll::Ready(late) => Poll::Ready(late),
                    Poll::Pending => Poll::Ready(Ok(Step::Much)),
                };
            }
        }
        let gathered = self.client.poll_send_gathered(&self.session.downstream_session, cx);
        self.client_is_full |= gathered.map_err(Stop::Client)?.is_pending();
        self.poll_time(cx)
    }

    fn bytes_moved(&self) -> u64 {
        let (sent, received) = self.exchange.moved();
        sent + received
    }

    /// A tunnel is over when both sides are.
    fn is_over(&self) -> bool {
        self.answers == Answers::Over && !(self.is_tunnel && self.sends == Sends::Body)
    }

    /// From the client to the app; whether anything moved.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        self.app_is_full = self.exchange.poll_flush(cx)?.is_pending();
        match self.sends {
            Sends::Body if !self.exchange.takes_body() => {
                self.sends = Sends::Unwanted;
                Ok(true)
            }
            Sends::Body => {
                if self.exchange.poll_ready(cx)?.is_pending() {
                    return Ok(false);
                }
                let (piece, end) = match self.again.pop_front() {
                    Some(sent) => sent,
                    None => {
                        let session = &mut self.session.downstream_session;
                        let Poll::Ready(read) = self.client.poll_read(session, cx) else { return Ok(false) };
                        read.map_err(Stop::Client)?
                    }
                };
                check_body(self.session, &piece, end, self.is_tunnel, self.ctx)?;
                self.exchange.send_data(piece, end)?;
                self.expects = false;
                if end {
                    // Who has closed its side of a tunnel says so by that alone.
                    self.sends = if self.is_tunnel { Sends::Unwanted } else { Sends::Nothing };
                }
                Ok(true)
            }
            Sends::Nothing => match self.client.poll_gone(&mut self.session.downstream_session, cx) {
                Poll::Ready(problem) => Err(Stop::Client(problem)),
                Poll::Pending => Ok(false),
            },
            Sends::AfterSwitch | Sends::Unwanted => Ok(false),
        }
    }

    /// From the app to the client; whether anything moved.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let sent = self.client.poll_sent(&mut self.session.downstream_session, cx).map_err(Stop::Client)?;
        self.client_is_full = sent.is_pending();
        if self.client_is_full {
            return Ok(false);
        }
        match self.answers {
            Answers::Over => Ok(false),
            Answers::Ended => {
                if self.is_tunnel {
                    let closed = Client::poll_close_writing(&self.session.downstream_session, cx);
                    // A client that has gone is told nothing.
                    if closed.is_pending() {
                        self.client_is_full = true;
                        return Ok(false);
                    }
                }
                self.answers = Answers::Over;
                Ok(true)
            }
            Answers::Head | Answers::Body => {
                if self.sends == Sends::AfterSwitch {
                    self.sends = Sends::Body;
                }
                let Poll::Ready(event) = self.exchange.poll_next(cx) else { return Ok(false) };
                self.pass(event?)?;
                Ok(true)
            }
        }
    }

    /// Passes on what came of the answer.
    fn pass(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Interim(mut head) => {
                forward::clean_answer(&mut head, self.ctx)?;
                self.expects = false;
                self.client.send_head(self.session, head, false).map_err(Stop::Client)
            }
            Event::Head(head) => self.pass_head(head),
            Event::Data(piece) => self.pass_data(piece),
            Event::Trailers(trailers) => {
                reauthorize(self.session, self.ctx)?;
                self.answers = Answers::Ended;
                self.client.send_end(self.session, Some(trailers)).map_err(Stop::Client)
            }
            Event::End => {
                self.answers = Answers::Ended;
                // The end of a tunnel's direction is said by its socket.
                if self.is_tunnel {
                    return Ok(());
                }
                self.client.send_end(self.session, None).map_err(Stop::Client)
            }
        }
    }

    fn pass_head(&mut self, mut head: Box<ResponseHeader>) -> Result<(), Stop> {
        forward::clean_answer(&mut head, self.ctx)?;
        self.answers = Answers::Body;
        self.expects = false;
        let end = self.exchange.is_ended() || self.ctx.forwarding.drops_body;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            (self.is_tunnel, self.is_stream) = (true, true);
            self.sends = Sends::AfterSwitch;
            if let Some(conn) = Conn::of(self.session) {
                conn.switch_protocol();
            }
        } else {
            close_if_draining(self.session);
            self.is_stream = is_of_events(&head.headers);
            self.frame(&mut head, end);
        }
        if self.is_stream
            && let Some(endpoint) = self.ctx.endpoint()
        {
            endpoint.succeeded();
        }
        self.client.send_head(self.session, head, end).map_err(Stop::Client)
    }

    /// Says where the answer ends, to whoever cannot see it.
    fn frame(&mut self, head: &mut ResponseHeader, end: bool) {
        head.remove_header(&TRANSFER_ENCODING);
        let request = self.session.req_header();
        let is_without_content = request.method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
        if is_without_content
            || head.headers.contains_key(CONTENT_LENGTH)
            || request.version == Version::HTTP_2
        {
            return;
        }
        let (name, value) = match (end, request.version < Version::HTTP_11) {
            (true, _) => (CONTENT_LENGTH, "0"),
            (false, false) => (TRANSFER_ENCODING, "chunked"),
            // A client of HTTP/1.0 knows no chunks: the end of the connection ends the body (RFC 9112, sections 6.1
            // and 6.3).
            (false, true) => return self.session.set_keepalive(None),
        };
        // INVARIANT: both are fit for a header.
        let _ = head.insert_header(name, HeaderValue::from_static(value));
    }

    fn pass_data(&mut self, piece: Bytes) -> Result<(), Stop> {
        reauthorize(self.session, self.ctx)?;
        if self.ctx.forwarding.drops_body {
            return Ok(());
        }
        let end = self.exchange.is_ended() && !self.is_tunnel;
        count_unsent(self.session, piece.len(), end, self.ctx);
        self.client.send_data(self.session, piece, end);
        Ok(())
    }

    /// Who is waited for.
    fn waits(&self) -> Wait {
        let is_paced = self.ctx.forwarding.pace.is_some();
        if self.client_is_full {
            Wait::ClientTakes
        } else if self.app_is_full {
            Wait::AppTakes
        } else if self.sends == Sends::Body
            && !self.is_tunnel
            && !self.expects
            && (is_paced || self.answers == Answers::Head)
        {
            Wait::Body
        } else if self.answers == Answers::Head && self.expects && self.sends == Sends::Body {
            Wait::Continue
        } else if self.answers == Answers::Head {
            Wait::Head
        } else if self.answers == Answers::Over {
            Wait::LastWords
        } else {
            Wait::Anything
        }
    }

    /// Ready when somebody was waited for too long. Time counts from when something moved last, but for the head of the
    /// answer: no interim answer and no byte of it makes that later.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Stop>> {
        let mut now = Instant::now();
        let waits = self.waits();
        let moved = std::mem::replace(&mut self.moved, self.exchange.moved());
        let has_moved = moved != self.moved && !matches!(waits, Wait::Head | Wait::Continue);
        let since = match self.wait {
            Some((before, since)) if before == waits && !has_moved => since,
            _ => now,
        };
        self.wait = Some((waits, since));
        let time = match waits {
            Wait::ClientTakes => self.client_idle,
            Wait::AppTakes => self.times.write,
            Wait::Body | Wait::Head | Wait::Anything if self.is_stream => self.times.stream_idle,
            Wait::Head | Wait::Continue => self.times.first_byte,
            Wait::Body | Wait::Anything => self.times.read,
            Wait::LastWords => LAST_WORDS,
        };
        let mut until = since + time;
        if let Some(pace) = &mut self.ctx.forwarding.pace {
            if waits == Wait::Body {
                until = Instant::from_std(pace.deadline(now.into_std()));
            } else if !pace.pause(now.into_std()) {
                return Poll::Ready(Err(Stop::BodyTooSlow));
            }
        }
        let deadline = self.deadline.filter(|deadline| *deadline < until && !self.is_stream);
        until = deadline.unwrap_or(until);
        loop {
            if until <= now {
                return Poll::Ready(Err(match deadline {
                    Some(_) => Fault::Timeout(NetworkFailure::TotalTimeout).into(),
                    None => self.too_late(waits),
                }));
            }
            // Moved only when it goes off, for most waits end before: to set a timer costs more than to look.
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() > until {
                timer.as_mut().reset(until);
            }
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => {
                    timer.as_mut().reset(until);
                    now = Instant::now();
                }
            }
        }
    }

    /// What it means that a wait was too long.
    fn too_late(&self, waits: Wait) -> Stop {
        match waits {
            Wait::ClientTakes => Stop::ClientSilent,
            Wait::AppTakes => Fault::Timeout(NetworkFailure::WriteTimeout).into(),
            Wait::Continue => Stop::BodyTooSlow,
            Wait::Body if self.ctx.forwarding.pace.is_some() => Stop::BodyTooSlow,
            Wait::Body => Stop::ClientSilent,
            Wait::Head => Fault::Timeout(NetworkFailure::AnswerTimeout).into(),
            Wait::LastWords => Stop::Silent,
            Wait::Anything if self.is_tunnel => Stop::Silent,
            Wait::Anything => Fault::Timeout(NetworkFailure::ReadTimeout).into(),
        }
    }
}
