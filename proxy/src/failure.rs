//! Why another machine could not be asked: one closed set of words, for apps and for key servers.
//!
//! Refused, an unknown authority and a wrong name look the same from outside; their remedies differ.

use std::error::Error;
use std::io::{self, ErrorKind};

use portcullis_policy::words;
use rustls::CertificateError;

words! {
    /// Why a server gave no answer.
    pub enum NetworkFailure {
        /// No process listens there.
        Refused = "refused",
        /// There is no route to its network.
        Unreachable = "unreachable",
        /// No connection, or no answer, in time, where it cannot be told which of the next ones it was.
        Timeout = "timeout",
        /// No connection in time, or no end of its TLS handshake.
        ConnectTimeout = "connect-timeout",
        /// The request was sent, and no head of an answer came in time.
        AnswerTimeout = "answer-timeout",
        /// The answer had begun, and did not go on in time.
        ReadTimeout = "read-timeout",
        /// It did not take the request in time.
        WriteTimeout = "write-timeout",
        /// The request took longer than its app allows altogether.
        TotalTimeout = "total-timeout",
        /// It closed or reset the connection without a whole answer.
        Reset = "reset",
        /// Its name does not resolve.
        Dns = "dns",
        /// Its certificate is of an authority that is not trusted.
        TlsUnknownCa = "tls-unknown-ca",
        /// Its certificate is for another name.
        TlsName = "tls-name",
        /// Its certificate has expired, or is not valid yet.
        TlsExpired = "tls-expired",
        /// The TLS handshake failed for another reason.
        TlsOther = "tls-other",
        /// What it sent is no HTTP that can be passed on.
        Protocol = "protocol",
        /// This machine could not make a connection: no descriptor, port or memory was left.
        Local = "local",
    }
}

words! {
    /// Why a request was sent once more.
    pub enum RetryReason {
        /// No connection was made.
        Connect = "connect",
        /// A connection that had been idle was closed as the request came.
        IdleClosed = "idle-closed",
        /// The connection ended before the answer.
        Reset = "reset",
        /// The server said that it had not begun with it.
        Untouched = "untouched",
    }
}

words! {
    /// Why a request was not sent once more, though it could have been.
    pub enum RetryRefusal {
        /// It was sent as often as the app allows.
        Attempts = "attempts",
        /// The app's budget was spent.
        Budget = "budget",
    }
}

impl NetworkFailure {
    /// What it is, and what mends it where that can be said. The table of causes in the README has the same words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Refused => "nobody listens there",
            Self::Unreachable => "there is no route to its network",
            Self::ConnectTimeout => "no connection, or no end of its TLS handshake, within `connect`",
            Self::AnswerTimeout => "no head of an answer within `first-byte`",
            Self::ReadTimeout => "an answer that had begun did not go on within `read`",
            Self::WriteTimeout => "it did not take the request within `write`",
            Self::TotalTimeout => "the request took longer than `total`",
            Self::Timeout => "too late, of which kind is not known",
            Self::Reset => "it closed the connection without a whole answer",
            Self::Dns => "its name does not resolve",
            Self::TlsUnknownCa => "its certificate is of an authority that is not trusted: name that in `ca`",
            Self::TlsName => "its certificate is for another name: write `tls-name`",
            Self::TlsExpired => "its certificate has expired, or is not valid yet",
            Self::TlsOther => "the handshake failed otherwise; the process log's `detail` has the words",
            Self::Protocol => "the answer is no HTTP that can be passed on",
            Self::Local => "no descriptor or port was left on this machine",
        }
    }

    /// The failure that a chain of errors stands for; the innermost known one counts. `None` when none does.
    pub(crate) fn of_chain(outer: &(dyn Error + 'static)) -> Option<Self> {
        let mut found = None;
        let mut next = Some(outer);
        while let Some(error) = next {
            let known = error.downcast_ref::<io::Error>().and_then(Self::of_io);
            let known = known.or_else(|| error.downcast_ref::<rustls::Error>().map(Self::of_tls));
            found = known.or(found);
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

    /// The failure that the text of a failed handshake stands for, where the error itself is lost. The words are those of
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

#[cfg(test)]
mod tests {
    use super::NetworkFailure;

    #[test]
    fn the_table_of_causes_in_the_readme_says_what_each_means() {
        let readme = include_str!("../README.md");
        for cause in NetworkFailure::ALL {
            let row = format!("\n| `{}` | {} |\n", cause.as_str(), cause.meaning());
            assert!(readme.contains(&row), "the README has no row {row}");
        }
    }
}
