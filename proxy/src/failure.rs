//! Why another machine could not be asked: one closed set of words, for apps and for key servers.
//!
//! Refused, an unknown authority and a wrong name look alike from outside; what mends them does not.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

/// Why a server gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum NetworkFailure {
    /// Nobody listens there.
    Refused = 0,
    /// There is no way to its network.
    Unreachable = 1,
    /// No connection, or no answer, in time.
    Timeout = 2,
    /// It closed or reset the connection without a whole answer.
    Reset = 3,
    /// Its name does not resolve.
    Dns = 4,
    /// Its certificate is of an authority that is not trusted.
    TlsUnknownCa = 5,
    /// Its certificate is for another name.
    TlsName = 6,
    /// Its certificate has expired, or is not valid yet.
    TlsExpired = 7,
    /// The TLS handshake failed for another reason.
    TlsOther = 8,
    /// What it sent is no HTTP that can be passed on.
    Protocol = 9,
    /// This machine could not make a connection: no descriptor, port or memory was left.
    Local = 10,
}

impl NetworkFailure {
    /// Every failure, in order.
    pub const ALL: [Self; 11] = [
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Reset,
        Self::Dns,
        Self::TlsUnknownCa,
        Self::TlsName,
        Self::TlsExpired,
        Self::TlsOther,
        Self::Protocol,
        Self::Local,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::TlsUnknownCa => "tls-unknown-ca",
            Self::TlsName => "tls-name",
            Self::TlsExpired => "tls-expired",
            Self::TlsOther => "tls-other",
            Self::Protocol => "protocol",
            Self::Local => "local",
        }
    }

    /// What a chain of errors comes to; the innermost one that says something counts. `None` when none does.
    pub(crate) fn of_chain(outer: &(dyn Error + 'static)) -> Option<Self> {
        let mut found = None;
        let mut next = Some(outer);
        while let Some(error) = next {
            let told = error.downcast_ref::<io::Error>().and_then(Self::of_io);
            let told = told.or_else(|| error.downcast_ref::<rustls::Error>().map(Self::of_tls));
            found = told.or(found);
            next = error.source();
        }
        found
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        // An error within one is none of its sources.
        if let Some(inner) = error.get_ref() {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Some(Self::of_tls(tls));
            }
            if let Some(inner) = inner.downcast_ref::<io::Error>() {
                return Self::of_io(inner);
            }
        }
        Some(match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Self::Unreachable,
            ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Reset,
            ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied | ErrorKind::AddrInUse => Self::Local,
            _ => return None,
        })
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                // An authority of the same name with another key is another authority.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::TlsUnknownCa,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::TlsName
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::TlsExpired,
                _ => Self::TlsOther,
            },
            _ => Self::TlsOther,
        }
    }

    /// What the text of a failed handshake comes to, where the error itself is lost. The words are those of
    /// rustls; a test holds each against a real handshake.
    pub(crate) fn of_handshake_text(text: &str) -> Self {
        if text.contains("UnknownIssuer") || text.contains("certificate: BadSignature") {
            Self::TlsUnknownCa
        } else if text.contains("certificate not valid for name") || text.contains("NotValidForName") {
            Self::TlsName
        } else if text.contains("certificate expired") || text.contains("certificate not valid yet") {
            Self::TlsExpired
        } else if text.contains("os error 104") || text.contains("Connection reset") {
            Self::Reset
        } else {
            Self::TlsOther
        }
    }
}
