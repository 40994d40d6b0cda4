//! What is wrong with certificates, keys, authorities and revocation lists, each with its place in the configuration:
//! for `check`, and for a load, which an error refuses.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis_config::diagnose::{Diagnostic, FileId, Severity};
use portcullis_config::settings::{CertificatePair, ClientCertificates, Listener};
use portcullis_config::{Config, Loaded};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::clients::{ClientTrust, TrustError};
use super::pair::{Facts, Pair, PairError, covers};
use crate::clock;

/// What ends within so many seconds is reported.
const SOON_SECS: i64 = 14 * 24 * 60 * 60;
/// The most names that one message lists.
const LISTED: usize = 5;

const NOT_SERVED: &str =
    "no handshake could be completed with it: `run` would not start, and a reload would keep the former";
const NAMED: &str = "clients refuse a certificate that does not name the host that they ask for";

/// Looks at everything that TLS of the listeners is made of. Blocks.
pub(crate) fn look(loaded: &Loaded, config: &Config, now: i64) -> Vec<Diagnostic> {
    let mut look = Look { loaded, found: Vec::new(), now };
    look.listeners(config);
    for app in &config.apps {
        if let Some(clients) = &app.client_certificates {
            look.clients(clients);
        }
        let shown = app.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()?.client.as_ref());
        shown.for_each(|files| look.shown(files));
    }
    look.found
}

struct Look<'l> {
    loaded: &'l Loaded,
    found: Vec<Diagnostic>,
    now: i64,
}

impl Look<'_> {
    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &Path,
        what: String,
        why: &str,
        help: impl Into<String>,
    ) {
        let (file, span) = self.loaded.place(path).unwrap_or((FileId::MAIN, 0..0));
        let (label, why, help) = (None, Some(why.to_owned()), Some(help.into()));
        let new = Diagnostic { code, severity, file, span, what, label, why, help };
        // Several listeners and apps may name one file.
        if !self.found.contains(&new) {
            self.found.push(new);
        }
    }

    fn warn(&mut self, code: &'static str, path: &Path, what: String, why: &str, help: impl Into<String>) {
        self.push(Severity::Warning, code, path, what, why, help);
    }

    fn listeners(&mut self, config: &Config) {
        let hosts: BTreeSet<&str> = config
            .apps
            .iter()
            .flat_map(|app| &app.hosts)
            .chain(&config.sign_in_host)
            .map(String::as_str)
            .collect();
        let listeners = &config.server.listeners;
        // A host without a certificate may be meant for a plain listener.
        let only_tls = listeners
            .iter()
            .all(|one| one.tls.is_some() || one.redirect_to_https || one.forward_auth.is_some());
        for listener in listeners {
            self.listener(listener, &hosts, only_tls);
        }
    }

    fn listener(&mut self, listener: &Listener, hosts: &BTreeSet<&str>, only_tls: bool) {
        let Some(tls) = &listener.tls else { return };
        let mut covered: BTreeSet<&str> = BTreeSet::new();
        let mut is_whole = true;
        let mut served = BTreeSet::new();
        for files in &tls.pairs {
            let (facts, kind) = match Pair::read(files) {
                Ok(pair) => (pair.facts, format!("{:?}", pair.key.key.algorithm())),
                Err(problem) => {
                    self.pair(files, &problem);
                    is_whole = false;
                    continue;
                }
            };
            let path = files.certificate.as_path();
            // Of two kinds of keys, the client takes the one that it knows.
            let again = |name: &&String| !served.insert(((*name).clone(), kind.clone()));
            let again: Vec<&String> = facts.names.iter().filter(again).collect();
            if !again.is_empty() {
                self.warn(
                    "tls/same-name",
                    path,
                    format!("an earlier certificate of this listener is for {}, too", listed(&again)),
                    "the earlier one is served for it, and this one never",
                    "take one of them out, or give each names of its own",
                );
            }
            self.validity("tls", "the certificate", path, (facts.from, facts.until));
            let here: Vec<&str> = hosts.iter().copied().filter(|host| facts.covers(host)).collect();
            self.names(path, &facts, hosts, &here);
            covered.extend(here);
        }
        let missing: Vec<&str> = hosts.difference(&covered).copied().collect();
        let is_reported = only_tls && is_whole && !covered.is_empty() && !missing.is_empty();
        let first = tls.pairs.first().filter(|_| is_reported);
        if let Some(first) = first {
            self.warn(
                "tls/host",
                &first.certificate,
                format!("no certificate of the listener `{}` is for {}", listener.address, listed(&missing)),
                NAMED,
                "add a certificate for it to `certificates`, or take one with `*.` before what they share",
            );
        }
    }

    /// What servers of apps are shown.
    fn shown(&mut self, files: &CertificatePair) {
        match Pair::read(files) {
            Ok(pair) => {
                let times = (pair.facts.from, pair.facts.until);
                self.validity("upstream", "the certificate", &files.certificate, times);
            }
            Err(problem) => self.pair(files, &problem),
        }
    }

    fn pair(&mut self, files: &CertificatePair, problem: &PairError) {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let (path, what) = match problem {
            PairError::Mismatch => {
                (&files.key, format!("`{key}` is not the key of the certificate in `{certificate}`"))
            }
            PairError::Unreadable { file: "certificate", .. }
            | PairError::Pem { file: "certificate", .. }
            | PairError::Empty
            | PairError::Malformed => {
                (&files.certificate, format!("`{certificate}` with `{key}` are of no use for TLS: {problem}"))
            }
            PairError::Unreadable { .. } | PairError::Pem { .. } | PairError::NoKey | PairError::Key(_) => {
                (&files.key, format!("`{certificate}` with `{key}` are of no use for TLS: {problem}"))
            }
        };
        let help = match problem {
            PairError::NoKey => {
                "`openssl pkey -in KEY -out NEW` takes the passphrase off; let nobody but the proxy read the new file"
            }
            _ => {
                "both are PEM: `openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY` print \
                 the same for a pair"
            }
        };
        self.push(Severity::Error, "tls/pair", path, what, NOT_SERVED, help);
    }

    fn names(&mut self, path: &Path, facts: &Facts, hosts: &BTreeSet<&str>, here: &[&str]) {
        let all: Vec<&str> = facts.names.iter().chain(&facts.addresses).map(String::as_str).collect();
        if here.is_empty() {
            let shown = if all.is_empty() { "no name".to_owned() } else { listed(&all) };
            self.warn(
                "tls/host",
                path,
                format!("the certificate is for {shown}, and for no host of an app"),
                NAMED,
                format!("it needs `subjectAltName` with {}", listed(hosts)),
            );
            return;
        }
        let is_idle = |name: &&str| !hosts.iter().any(|host| covers(name, host));
        let idle: Vec<&str> = facts.names.iter().map(String::as_str).filter(is_idle).collect();
        if !idle.is_empty() {
            self.warn(
                "tls/unused-name",
                path,
                format!("the certificate is for {}, which is no host of an app", listed(&idle)),
                "whoever asks for it is answered as if there were no app",
                "add it to the `hosts` of an app, or take it out of the next certificate",
            );
        }
    }

    /// `kind` begins the codes, `name` the messages.
    fn validity(&mut self, kind: &str, name: &str, path: &Path, (from, until): (i64, i64)) {
        let code = |client, own| if kind == "client-ca" { client } else { own };
        let (code, what, help) = if until < self.now {
            let what = format!("{name} ended at {}", clock::minute(until));
            (
                code("client-ca/expired", "tls/expired"),
                what,
                "renew it; if it is new, this machine's clock is wrong",
            )
        } else if from > self.now {
            let what = format!("{name} does not hold before {}", clock::minute(from));
            let help = "put it in place when its time has begun; if it has, this machine's clock is wrong";
            (code("client-ca/not-yet", "tls/not-yet"), what, help)
        } else if until - self.now < SOON_SECS {
            (
                code("client-ca/expires-soon", "tls/expires-soon"),
                format!("{name} ends at {}", clock::minute(until)),
                "renew it; a changed file serves within two seconds",
            )
        } else {
            return;
        };
        let why = match kind {
            "client-ca" => {
                "certificates that it issued are judged by its key alone, and it should not sign any more"
            }
            "upstream" => "servers refuse it outside of its time",
            _ => "clients refuse it outside of its time",
        };
        self.warn(code, path, what, why, help);
    }

    fn clients(&mut self, clients: &ClientCertificates) {
        let mut subjects: Vec<Vec<u8>> = Vec::new();
        for file in &clients.authorities {
            for der in &file.certificates {
                let Ok((_, authority)) = X509Certificate::from_der(der) else { continue };
                // Certificates of version 1 have no word for it.
                if authority.version() == X509Version::V3 && !authority.is_ca() {
                    self.push(
                        Severity::Error,
                        "client-ca/no-authority",
                        &file.file,
                        format!("the certificate `{}` is that of no authority", authority.subject()),
                        "whoever has its key could issue certificates for others",
                        "name the certificate that issued it (`basicConstraints` with `CA:TRUE`)",
                    );
                }
                let validity = authority.validity();
                let times = (validity.not_before.timestamp(), validity.not_after.timestamp());
                let name = format!("the authority `{}`", authority.subject());
                self.validity("client-ca", &name, &file.file, times);
                subjects.push(authority.subject().as_raw().to_vec());
            }
        }
        match ClientTrust::new(clients) {
            Ok(_) => {}
            Err(problem @ TrustError::Authority { .. }) => {
                let path = clients.authorities.first().map(|file| file.file.clone()).unwrap_or_default();
                let why = "no client's certificate could be checked against it";
                let help = "name a PEM file with one `BEGIN CERTIFICATE` for each authority";
                self.push(Severity::Error, "client-ca/certificate", &path, problem.to_string(), why, help);
            }
            Err(problem @ TrustError::Lists(_)) => {
                let path = clients.revocations.first().map(|file| file.file.clone()).unwrap_or_default();
                let why = "whoever was revoked in it would be let in";
                let help =
                    "name a PEM file with whole lists of version 2 (RFC 5280, section 5), no delta lists";
                self.push(Severity::Error, "client-crl/list", &path, problem.to_string(), why, help);
            }
        }
        self.lists(clients, &subjects);
    }

    fn lists(&mut self, clients: &ClientCertificates, subjects: &[Vec<u8>]) {
        let mut issuers: Vec<Vec<u8>> = Vec::new();
        for file in &clients.revocations {
            for der in &file.lists {
                let Ok((_, list)) = CertificateRevocationList::from_der(der) else { continue };
                issuers.push(list.issuer().as_raw().to_vec());
                let until = list.next_update().map(|time: ASN1Time| time.timestamp());
                if until.is_some_and(|until| until < self.now) {
                    self.warn(
                        "client-crl/expired",
                        &file.file,
                        format!(
                            "the revocation list of `{}` was to be renewed at {}",
                            list.issuer(),
                            clock::minute(until.unwrap_or_default())
                        ),
                        "who was revoked since then is not in it: everybody whom it would speak of is refused (503)",
                        "fetch the newest list of this authority, and do so before each is out of date",
                    );
                }
            }
        }
        let silent = subjects.iter().filter(|subject| !issuers.contains(subject)).count();
        if let Some(file) = clients.revocations.first().filter(|_| silent > 0) {
            self.warn(
                "client-crl/missing",
                &file.file,
                format!("{silent} of the authorities in `client-ca` {} no revocation list here", if silent == 1 { "has" } else { "have" }),
                "whether their certificates were revoked cannot be known: who shows one is refused (503)",
                "add a list of each authority that issues certificates, an empty one where nothing is revoked",
            );
        }
    }
}

/// Names in backticks, the first few.
fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{}`", name.as_ref())).collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}
