//! Opens what `run` would open: certificates and their keys, the country database, the folders that the process
//! writes into; and looks at who else may read and change the files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portcullis_config::diagnose::{Diagnostic, FileId, Severity};
use portcullis_config::settings::{CertificatePair, KeySource};
use portcullis_config::{Config, Loaded, file};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::context::geo::GeoDatabase;
use crate::preflight::{self, Obstacle};
use crate::server::check_pair;
use crate::state::PEM_BYTES_MAX;
use crate::token::keys_in_file;

/// A certificate that ends within so many seconds is reported.
const SOON_SECS: i64 = 14 * 24 * 60 * 60;
/// The sticky bit: in such a folder only its owner may replace a file.
const STICKY: u32 = 0o1000;

/// Everything that would stop `run`, or that a stranger on this machine could use.
pub(super) fn look(loaded: &Loaded, config: &Config, now: i64) -> Vec<Diagnostic> {
    let mut look = Look { loaded, found: Vec::new() };
    look.certificates(config, now);
    look.keys(config);
    look.database(config);
    look.places(config);
    look.modes(config);
    look.found
}

struct Look<'l> {
    loaded: &'l Loaded,
    found: Vec<Diagnostic>,
}

/// What is wrong with a file or folder.
struct Problem {
    code: &'static str,
    severity: Severity,
    what: String,
    why: &'static str,
    help: String,
}

impl Look<'_> {
    fn report(&mut self, path: &Path, problem: Problem) {
        let (file, span) = self.loaded.place(path).unwrap_or((FileId::MAIN, 0..0));
        let Problem { code, severity, what, why, help } = problem;
        let (label, why, help) = (None, Some(why.to_owned()), Some(help));
        self.found.push(Diagnostic { code, severity, file, span, what, label, why, help });
    }

    fn certificates(&mut self, config: &Config, now: i64) {
        let hosts: BTreeSet<&str> =
            config.apps.iter().flat_map(|app| &app.hosts).map(String::as_str).collect();
        let mut covered: BTreeSet<&str> = BTreeSet::new();
        let mut first = None;
        let listeners = config.server.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        for tls in listeners.flat_map(|tls| &tls.pairs) {
            first.get_or_insert(tls.certificate.as_path());
            self.pair(tls);
            let Ok(pem) = file::read(&tls.certificate, PEM_BYTES_MAX) else { continue };
            let Some(Ok(leaf)) = CertificateDer::pem_slice_iter(&pem).next() else { continue };
            let Ok((_, certificate)) = X509Certificate::from_der(&leaf) else { continue };
            self.validity(&tls.certificate, &certificate, now);
            let names = names(&certificate);
            let here: Vec<&str> =
                hosts.iter().copied().filter(|host| names.iter().any(|name| covers(name, host))).collect();
            if here.is_empty() {
                let shown = if names.is_empty() { "no name".to_owned() } else { listed(&names) };
                self.report(
                    &tls.certificate,
                    Problem {
                        code: "tls/host",
                        severity: Severity::Warning,
                        what: format!("the certificate is for {shown}, and for no host of an app"),
                        why: "clients refuse a certificate that does not name the host that they ask for",
                        help: format!("it needs `subjectAltName` with {}", listed(&hosts)),
                    },
                );
            }
            covered.extend(here);
        }
        let missing: Vec<&str> = hosts.difference(&covered).copied().collect();
        let only_tls = config.server.listeners.iter().all(|listener| listener.tls.is_some());
        if let Some(path) = first.filter(|_| only_tls && !covered.is_empty() && !missing.is_empty()) {
            self.report(
                path,
                Problem {
                    code: "tls/host",
                    severity: Severity::Warning,
                    what: format!("no certificate of a listener is for {}", listed(&missing)),
                    why: "clients refuse a certificate that does not name the host that they ask for",
                    help: "take a certificate with all names, or one with `*.` before what they share"
                        .to_owned(),
                },
            );
        }
    }

    fn pair(&mut self, tls: &CertificatePair) {
        let Err(problem) = check_pair(tls) else { return };
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        let is_mismatch = problem.downcast_ref::<rustls::Error>().is_some_and(|error| {
            matches!(error, rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch))
        });
        let what = if is_mismatch {
            format!("`{key}` is not the key of the certificate in `{certificate}`")
        } else {
            format!("`{certificate}` with `{key}` cannot serve TLS: {problem}")
        };
        let help = "both are PEM: `openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY` print \
                    the same for a pair";
        self.report(
            &tls.key,
            Problem {
                code: "tls/pair",
                severity: Severity::Error,
                what,
                why: "`run` would not start",
                help: help.to_owned(),
            },
        );
    }

    fn validity(&mut self, path: &Path, certificate: &X509Certificate<'_>, now: i64) {
        let validity = certificate.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let (code, what) = if until < now {
            ("tls/expired", format!("the certificate ended on {}", validity.not_after))
        } else if from > now {
            ("tls/not-yet", format!("the certificate does not hold before {}", validity.not_before))
        } else if until - now < SOON_SECS {
            ("tls/expires-soon", format!("the certificate ends on {}", validity.not_after))
        } else {
            return;
        };
        self.report(
            path,
            Problem {
                code,
                severity: Severity::Warning,
                what,
                why: "clients refuse it outside of its time",
                help: "renew it, and look at the clock of this machine".to_owned(),
            },
        );
    }

    /// Keys in files: a file is read again whenever it changes, so `run` starts without them, and lets nobody in.
    fn keys(&mut self, config: &Config) {
        for issuer in &config.issuers {
            let KeySource::File(path) = &issuer.keys else { continue };
            let Err(problem) = keys_in_file(path, &issuer.algorithms) else { continue };
            self.report(
                path,
                Problem {
                    code: "issuer/keys",
                    severity: Severity::Error,
                    what: format!("the keys of issuer `{}` in `{}`: {problem}", issuer.name, path.display()),
                    why: "without keys no token can be verified: every request would be 503",
                    help: "put the issuer's JWK set there (RFC 7517), with a key for one of `algorithms`"
                        .to_owned(),
                },
            );
        }
    }

    fn database(&mut self, config: &Config) {
        let Some(geo) = &config.geo else { return };
        let Err(problem) = GeoDatabase::open(&geo.database, &geo.country_path) else { return };
        let what = if geo.database.exists() {
            format!("`{}`: {problem}", geo.database.display())
        } else {
            format!("there is no country database `{}`", geo.database.display())
        };
        self.report(
            &geo.database,
            Problem {
                code: "geo/unreadable",
                severity: Severity::Error,
                what,
                why: "`run` would not start, for no policy about countries could hold",
                help: "put a country database in MMDB format there, such as GeoLite2-Country, or remove `[geo]`; \
                       `country-path` says where a record has the code"
                    .to_owned(),
            },
        );
    }

    /// Where the process writes: what `run` looks at before it begins.
    fn places(&mut self, config: &Config) {
        for Obstacle { path, what } in preflight::problems(config) {
            let help = "make the folder for the user that runs the proxy (`install -d -m 0750 -o USER FOLDER`; under \
                        systemd `RuntimeDirectory=` and `LogsDirectory=` do), or name another";
            let problem = Problem {
                code: "run/impossible",
                severity: Severity::Error,
                what,
                why: "`run` would not start here",
                help: help.to_owned(),
            };
            self.report(&path, problem);
        }
    }

    /// Who else may read secrets, and who else may change what the proxy believes.
    fn modes(&mut self, config: &Config) {
        let secrets: BTreeSet<PathBuf> = self.loaded.secrets().map(Path::to_path_buf).collect();
        for path in &secrets {
            let Ok(seen) = std::fs::metadata(path) else { continue };
            if seen.mode() & 0o007 != 0 {
                let problem =
                    mode_problem("file/readable", path, &seen, "anybody on this machine can read it", "0640");
                self.report(path, problem);
            }
        }
        let mut folders = BTreeSet::new();
        for path in &config.files {
            // Both the name that is written and what it leads to: either can be replaced.
            for path in [Some(path.clone()), std::fs::canonicalize(path).ok()].into_iter().flatten() {
                folders.extend(above(&path));
            }
            let Ok(seen) = std::fs::metadata(path) else { continue };
            if seen.mode() & 0o002 != 0 {
                let problem = mode_problem(
                    "file/writable",
                    path,
                    &seen,
                    "anybody on this machine can change it",
                    "o-w",
                );
                self.report(path, problem);
            }
        }
        for folder in folders {
            let Ok(seen) = std::fs::metadata(&folder) else { continue };
            if seen.is_dir() && seen.mode() & 0o002 != 0 && seen.mode() & STICKY == 0 {
                let why = "anybody on this machine can replace what is in it";
                let problem = mode_problem("folder/writable", &folder, &seen, why, "o-w");
                self.report(&folder, problem);
            }
        }
    }
}

/// Every folder above a path, itself left out.
fn above(path: &Path) -> impl Iterator<Item = PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>().into_iter()
}

fn mode_problem(code: &'static str, path: &Path, seen: &Metadata, why: &'static str, mend: &str) -> Problem {
    let shown = path.display();
    Problem {
        code,
        severity: Severity::Warning,
        what: format!("`{shown}` has the mode {:04o}", seen.mode() & 0o7777),
        why,
        help: format!("`chmod {mend} {shown}`"),
    }
}

/// The names that a certificate is for.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let one = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(one).collect()
}

/// Whether a name of a certificate is that of a host (RFC 9525, section 6.3: a `*` stands for one whole label).
fn covers(name: &str, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, above)| above == rest),
        None => name == host,
    }
}

/// Names in backticks, the first few.
fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let mut text =
        names.iter().take(5).map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > 5 {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " and {} more", names.len() - 5);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("wiki.corp.example", "wiki.corp.example"));
        assert!(covers("*.corp.example", "wiki.corp.example"));
        assert!(covers("2001:db8::1", "[2001:db8::1]"));
        for (name, host) in [
            ("*.corp.example", "corp.example"),
            ("*.corp.example", "a.wiki.corp.example"),
            ("wiki.corp.example", "wiki2.corp.example"),
        ] {
            assert!(!covers(name, host), "{name} {host}");
        }
    }
}
