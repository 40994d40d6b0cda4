//! Opens what `run` would open: certificates and their keys, the country database, the folders that the process
//! writes into; and looks at who else may read and change the files.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portcullis_config::diagnose::{Diagnostic, FileId, Severity};
use portcullis_config::settings::KeySource;
use portcullis_config::{Config, Loaded};

use crate::context::geo::GeoDatabase;
use crate::limit::{self, MORE_DESCRIPTORS};
use crate::preflight::{self, Obstacle};
use crate::tls::inspect as tls_inspect;
use crate::token::keys_in_file;

/// The sticky bit: in such a folder only its owner may replace a file.
const STICKY: u32 = 0o1000;

/// Everything that would stop `run`, or that a stranger on this machine could use.
pub(super) fn look(loaded: &Loaded, config: &Config, now: i64) -> Vec<Diagnostic> {
    let mut look = Look { loaded, found: tls_inspect::look(loaded, config, now) };
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
        if let Some(what) = config.server.limits.connections.and_then(limit::too_many) {
            let problem = Problem {
                code: "limits/descriptors",
                severity: Severity::Warning,
                what,
                why: "without a descriptor no connection is accepted, and apps, keys and logs cannot be reached",
                help: MORE_DESCRIPTORS.to_owned(),
            };
            self.report(Path::new(""), problem);
        }
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
