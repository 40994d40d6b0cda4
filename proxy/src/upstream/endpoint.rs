//! One address of one server: what requests are sent to, and what they report of it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;

use super::address::Address;
use super::health::Health;
use super::outstanding::Outstanding;
use crate::failure::NetworkFailure;

/// An address that requests are sent to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The server as configured: host and port.
    pub(crate) server: Arc<str>,
    pub(crate) address: Address,
    /// In a box of its own, which is copied to where it is wanted without the stack between.
    peer: Box<HttpPeer>,
    health: Arc<Health>,
}

impl Endpoint {
    pub(super) fn new(server: Arc<str>, address: Address, peer: HttpPeer, health: Arc<Health>) -> Self {
        Self { server, address, peer: Box::new(peer), health }
    }

    /// What pingora connects to.
    pub(crate) fn peer(&self) -> Box<HttpPeer> {
        self.peer.clone()
    }

    /// How it does; shared with the endpoint that takes its place after a reload.
    pub(super) const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// How many requests are under way here.
    pub(crate) fn outstanding(&self) -> &Outstanding {
        self.health.outstanding()
    }

    /// Whether it takes requests, or was left out for long enough to be tried; for whoever only looks.
    pub(super) fn would_take(&self) -> bool {
        self.health.would_take()
    }

    /// Whether it takes a request, which may be the one that tries it again.
    pub(super) fn takes_requests(&self) -> bool {
        self.health.takes_requests()
    }

    /// It began to answer, after so long.
    pub(crate) fn answered(&self, took: Duration) {
        self.health.answered(took);
    }

    /// It answered, and nothing of that failed. A stream has no end to wait for, and an answer that its client gave up none
    /// that anybody saw: their beginning is enough.
    pub(crate) fn succeeded(&self) {
        self.health.succeeded();
    }

    /// It gave no answer.
    pub(crate) fn failed(&self, cause: NetworkFailure, to_connect: bool, problem: &dyn Display) {
        self.health.failed(cause, to_connect, problem);
    }
}
