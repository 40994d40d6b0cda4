//! Client certificates: whom they must come from, what was revoked, and how a chain is judged.
//!
//! The handshake asks for a certificate and takes any, or none: a client whose certificate is no good gets a page that
//! says so, where an alert would leave its user with an error of the browser. So nothing is trusted of a chain until it
//! is judged here; that its sender holds the key, the handshake has proved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use portcullis_config::settings::ClientCertificates;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::provider::provider;
use crate::refusal::ClientCertificateProblem;

/// Authorities and revocation lists.
pub struct ClientTrust {
    authorities: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust")
            .field("authorities", &self.authorities.len())
            .field("lists", &self.lists.len())
            .finish_non_exhaustive()
    }
}

/// Why authorities or lists cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// An authority's certificate.
    #[error("certificate {number} of `{file}` cannot be read")]
    Authority {
        /// Which of the file, from 1.
        number: usize,
        /// The file.
        file: String,
    },
    /// A revocation list.
    #[error("a revocation list cannot be used: {0}")]
    Lists(String),
}

fn authorities(settings: &ClientCertificates) -> impl Iterator<Item = &Vec<u8>> {
    settings.authorities.iter().flat_map(|file| &file.certificates)
}

fn lists(settings: &ClientCertificates) -> impl Iterator<Item = &Vec<u8>> {
    settings.revocations.iter().flat_map(|file| &file.lists)
}

impl ClientTrust {
    /// Takes what the files hold.
    ///
    /// # Errors
    /// When something of it is no certificate or no list.
    pub fn new(settings: &ClientCertificates) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for file in &settings.authorities {
            for (der, number) in file.certificates.iter().zip(1..) {
                let bad = |_| TrustError::Authority { number, file: file.file.display().to_string() };
                roots.add(CertificateDer::from(der.clone())).map_err(bad)?;
            }
        }
        let lists: Vec<Vec<u8>> = lists(settings).cloned().collect();
        let parsed = lists.iter().map(|der| CertificateRevocationListDer::from(der.clone()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(parsed)
            // A list that is out of date says nothing of who was revoked since.
            .enforce_revocation_expiration()
            .allow_unauthenticated()
            .build()
            .map_err(|problem| TrustError::Lists(problem.to_string()))?;
        Ok(Self { authorities: authorities(settings).cloned().collect(), lists, verifier })
    }

    /// Whether it would be the same, made of these.
    pub(super) fn is_made_of(&self, settings: &ClientCertificates) -> bool {
        self.authorities.iter().eq(authorities(settings)) && self.lists.iter().eq(lists(settings))
    }

    /// Judges a chain, the client's own certificate first.
    ///
    /// # Errors
    /// Why it is not trusted.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<(), ClientCertificateProblem> {
        let (leaf, others) = chain.split_first().ok_or(ClientCertificateProblem::Missing)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        match self.verifier.verify_client_cert(leaf, others, now) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(problem)) => Err(problem_of(&problem)),
            Err(_) => Err(ClientCertificateProblem::Untrusted),
        }
    }

    /// Names of the authorities, from which a client chooses its certificate.
    fn subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }
}

fn problem_of(problem: &CertificateError) -> ClientCertificateProblem {
    match problem {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => ClientCertificateProblem::Expired,
        CertificateError::Revoked => ClientCertificateProblem::Revoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => ClientCertificateProblem::Unverifiable,
        _ => ClientCertificateProblem::Untrusted,
    }
}

/// What tells one class of names from another: their clients are asked for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassLabel([u8; 32]);

impl ClassLabel {
    /// The label of those who are asked for what these texts describe.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for text in texts {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text);
        }
        Self(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Names whose clients are asked for a certificate of one of these authorities; of none, they are not asked.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) label: ClassLabel,
    trusts: Vec<Arc<ClientTrust>>,
}

impl Class {
    pub(super) fn of(trusts: &[Arc<ClientTrust>]) -> Self {
        let mut trusts = trusts.to_vec();
        trusts.sort_by(|one, other| (&one.authorities, &one.lists).cmp(&(&other.authorities, &other.lists)));
        trusts.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let counts: Vec<_> = trusts
            .iter()
            .map(|trust| {
                [trust.authorities.len(), trust.lists.len()].map(|count| count as u64).map(u64::to_be_bytes)
            })
            .collect();
        let texts = trusts.iter().zip(&counts).flat_map(|(trust, counts)| {
            let items = trust.authorities.iter().chain(&trust.lists).map(Vec::as_slice);
            counts.iter().map(<[u8; 8]>::as_slice).chain(items)
        });
        Self { label: ClassLabel::of(texts), trusts }
    }

    pub(super) fn asks(&self) -> bool {
        !self.trusts.is_empty()
    }

    /// What asks for a certificate and takes any.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        if !self.asks() {
            return WebPkiClientVerifier::no_client_auth();
        }
        let mut subjects: Vec<DistinguishedName> = Vec::new();
        for subject in self.trusts.iter().flat_map(|trust| trust.subjects()) {
            if !subjects.iter().any(|known| known.as_ref() == subject.as_ref()) {
                subjects.push(subject.clone());
            }
        }
        Arc::new(Asking { subjects, algorithms: provider().signature_verification_algorithms })
    }
}

/// Asks for a certificate and takes any: what it is worth is judged after the handshake, each time.
#[derive(Debug)]
struct Asking {
    subjects: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // INVARIANT: nothing reads the chain but `ClientTrust::judge`.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // A certificate that cannot be read, such as one of version 1, gets as far as the page that says so, if its
        // sender holds the key.
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms).or_else(
            |problem| {
                let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| problem)?;
                let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            },
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
