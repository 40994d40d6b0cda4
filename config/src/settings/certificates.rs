//! Whose certificates count: of servers that we connect to, and of clients that connect to us.

use std::path::PathBuf;

use portcullis_policy::words;

words! {
    /// Whether an app's clients must show a certificate.
    pub enum ClientDemand {
        /// Nobody without a good one is let in.
        Required = "required",
        /// It is asked for, and must be good where there is one.
        Optional = "optional",
    }
}

/// Which client certificates an app takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether there must be one.
    pub demand: ClientDemand,
    /// Where they must come from; at least one.
    pub authorities: Vec<Authorities>,
    /// What was revoked. Empty: revocation is not looked at.
    pub revocations: Vec<RevocationLists>,
}

/// Certificate revocation lists of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationLists {
    /// The file.
    pub file: PathBuf,
    /// Its lists, in DER; at least one.
    pub lists: Vec<Vec<u8>>,
}

/// Certificate authorities of a file; nobody else's certificates count beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The file.
    pub file: PathBuf,
    /// Its certificates, in DER; at least one.
    pub certificates: Vec<Vec<u8>>,
}
