//! What the handshake of a connection showed, and what that is worth today.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::ServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::clients::ClientTrust;
use crate::refusal::ClientCertificateProblem;

/// For how long a chain that was found good is not looked at again, unless its authorities or lists change: at most
/// so many seconds, and never beyond the end of one of its certificates.
const TRUSTED_SECS_MAX: i64 = 60;
/// The most certificates of a chain that are kept.
const CHAIN_MAX: usize = 10;

/// What a handshake showed. Stays with its connection.
#[derive(Debug)]
pub struct Handshake {
    name: Option<String>,
    was_asked: bool,
    chain: Vec<CertificateDer<'static>>,
    serial: Option<String>,
    /// The earliest end of a certificate in the chain, in Unix seconds.
    until: i64,
    is_resumed: bool,
    version: &'static str,
    cipher: &'static str,
    judged: ArcSwap<Vec<Judged>>,
}

/// What a trust said of the chain.
#[derive(Clone, Debug)]
struct Judged {
    // Held, not only compared: its address is nobody else's while it lasts.
    by: Arc<ClientTrust>,
    /// When it was asked, and until when that holds; Unix seconds, both included.
    at: i64,
    until: i64,
    outcome: Result<(), ClientCertificateProblem>,
}

impl Handshake {
    pub(super) fn new(name: Option<String>, was_asked: bool, connection: &ServerConnection) -> Self {
        let chain: Vec<_> = connection.peer_certificates().unwrap_or_default().to_vec();
        // More than that is nobody's chain, and each is judged again and again.
        let chain = if chain.len() > CHAIN_MAX { chain.into_iter().take(1).collect() } else { chain };
        let parsed = || chain.iter().map(|der| X509Certificate::from_der(der));
        let ends =
            parsed().map(|parsed| parsed.map_or(i64::MIN, |(_, one)| one.validity().not_after.timestamp()));
        let serial = parsed().next().and_then(Result::ok).map(|(_, leaf)| leaf.raw_serial_as_string());
        Self {
            until: ends.min().unwrap_or(i64::MIN),
            serial,
            name,
            was_asked,
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default(),
            judged: ArcSwap::default(),
            chain,
        }
    }

    /// The server's name that the client asked for, lower case.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it resumed an earlier session.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The protocol, such as `TLSv1.3`.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// The cipher suite.
    #[must_use]
    pub const fn cipher(&self) -> &'static str {
        self.cipher
    }

    /// The serial number of the client's certificate, in hexadecimal digits with colons between the bytes. Nobody
    /// has judged it.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// Whether the client was asked for a certificate.
    pub(super) const fn was_asked(&self) -> bool {
        self.was_asked
    }

    /// Whether the client showed a certificate.
    pub(super) fn has_certificate(&self) -> bool {
        !self.chain.is_empty()
    }

    /// What the chain is worth to this trust now. Nothing is computed where it was judged a short while ago.
    pub(super) fn client_certificate(
        &self,
        trust: &Arc<ClientTrust>,
        now: i64,
    ) -> Result<(), ClientCertificateProblem> {
        let judged = self.judged.load();
        let known = judged.iter().find(|judged| Arc::ptr_eq(&judged.by, trust));
        if let Some(known) = known.filter(|known| (known.at..=known.until).contains(&now)) {
            return known.outcome;
        }
        let outcome = trust.judge(&self.chain, now);
        let until = match outcome {
            Ok(()) => self.until.min(now.saturating_add(TRUSTED_SECS_MAX)),
            Err(_) => now,
        };
        let new = Judged { by: Arc::clone(trust), at: now, until, outcome };
        // What was judged longer ago than it holds was judged by a trust that nobody asks any more.
        let others = judged.iter().filter(|one| !Arc::ptr_eq(&one.by, trust) && one.until >= now);
        self.judged.store(Arc::new(others.cloned().chain([new]).collect()));
        outcome
    }
}
