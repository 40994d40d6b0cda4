//! From trees to settings and policies: the only place that speaks both.
//!
//! Shapes were compared before; what is missing or of a wrong type here was already told, so it is
//! passed over in silence. Lowering adds what only meaning can tell.

mod app;
mod authorities;
mod conditions;
pub(crate) mod countries;
mod denial;
mod hints;
mod issuer;
pub(crate) mod paths;
mod places;
mod policy;
mod proof;
pub(crate) mod question;
mod rule;
mod server;
mod template;
mod time;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_policy::PolicySet;
use portcullis_policy::model::AuthenticationContext;

use crate::diagnose::{At, Diagnostic, Severity, Sources};
use crate::schema::check::nearest;
use crate::schema::policy_tables::POLICY;
use crate::schema::tables::{APP, EVIDENCE, INCLUDED, INSECURE, ISSUER, MAIN, SERVER, TRUSTED_PROXIES};
use crate::schema::tree::{Node, View};
use crate::settings::{App, Config, Denial, Geo, Issuer, PolicyDenial, Server, TrustedProxies};
use values::Flaw;

/// What lowering needs to know and what it finds.
pub(crate) struct Context<'s> {
    sources: &'s Sources,
    folder: &'s Path,
    found: &'s mut Vec<Diagnostic>,
    files: &'s mut Vec<PathBuf>,
    named: &'s mut Vec<Named>,
}

/// A file or folder that the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    pub(crate) at: At,
    /// Whether only the proxy may read it.
    pub(crate) is_secret: bool,
}

impl Context<'_> {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    fn flaw(&mut self, at: At, flaw: Flaw) {
        let mut diagnostic = Diagnostic::error(flaw.code, at, flaw.what).maybe_help(flaw.help);
        diagnostic.why = flaw.why.map(ToOwned::to_owned);
        self.push(diagnostic);
    }

    /// Parses a string; a flaw is told at its place.
    fn parse<T>(&mut self, text: &str, at: At, parse: impl FnOnce(&str) -> Result<T, Flaw>) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(flaw) => {
                self.flaw(at, flaw);
                None
            }
        }
    }

    /// Parses the string under a key, if there is one.
    fn parse_key<T>(
        &mut self,
        view: View<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Flaw>,
    ) -> Option<T> {
        let text = view.text(key)?;
        self.parse(text, view.at_key(key), parse)
    }

    /// Parses every string of a list under a key.
    fn parse_list<T>(
        &mut self,
        view: View<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Vec<T> {
        view.texts(key).filter_map(|(text, at)| self.parse(text, at, &parse)).collect()
    }

    /// A list that is written down but empty says nothing that could be meant.
    fn not_empty(&mut self, view: View<'_>, key: &str, why: &str) {
        if let Some(node) = view.get(key)
            && node.items().is_empty()
            && matches!(node.kind, crate::schema::tree::Kind::List(_))
        {
            self.push(Diagnostic::error("value/empty", node.at, format!("`{key}` is empty")).why(why));
        }
    }

    /// Where a file or folder is named, for those who look at it more closely.
    fn names(&mut self, path: &Path, at: At) {
        self.named.push(Named { path: path.to_owned(), at, is_secret: false });
    }

    /// A file that was named last is one that only the proxy may read.
    fn is_secret(&mut self, path: &Path) {
        for named in self.named.iter_mut().filter(|named| named.path == path) {
            named.is_secret = true;
        }
    }

    /// A path, relative to the main file's folder.
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(Path::new(text))
    }

    /// A file that must be there and readable; it is watched from now on.
    fn readable(&mut self, view: View<'_>, key: &str) -> Option<PathBuf> {
        self.readable_at(view.text(key)?, view.at_key(key))
    }

    /// The same for a path at a place of its own.
    fn readable_at(&mut self, text: &str, at: At) -> Option<PathBuf> {
        let path = self.path(text);
        // Asked before opening: to open a pipe would wait for its writer.
        let checked = std::fs::metadata(&path).and_then(|metadata| match metadata.is_file() {
            true => std::fs::File::open(&path)?.metadata(),
            false => Ok(metadata),
        });
        let problem = match checked {
            Ok(metadata) if metadata.is_file() => {
                self.files.push(path.clone());
                self.names(&path, at);
                return Some(path);
            }
            Ok(_) => "it is not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        let what = format!("cannot read `{}`: {problem}", path.display());
        self.push(
            Diagnostic::error("file/unreadable", at, what)
                .why("it would be missed only when the first request needs it")
                .help("paths are relative to the folder of the main file"),
        );
        None
    }
}

/// Names of one kind, and where each was defined.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: BTreeMap<String, Option<At>>,
}

impl Names {
    /// Adds a name; a second definition is told.
    fn define(&mut self, cx: &mut Context<'_>, kind: &str, name: &str, at: At) -> bool {
        if let Some(earlier) = self.places.get(name) {
            let first = match earlier {
                Some(at) => format!("first defined at {}", cx.sources.place(at.file, at.start)),
                None => "it is built in".to_owned(),
            };
            let what = format!("{kind} `{name}` is defined twice");
            cx.push(
                Diagnostic::error("id/duplicate", at, what)
                    .label("defined again")
                    .why("it would depend on the order of files which one counts")
                    .help(first),
            );
            return false;
        }
        self.places.insert(name.to_owned(), Some(at));
        true
    }

    fn built_in(&mut self, name: &str) {
        self.places.insert(name.to_owned(), None);
    }

    fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Tells that a name is not defined, with the neighbour that was probably meant.
    fn unknown(&self, cx: &mut Context<'_>, code: &'static str, kind: &str, name: &str, at: At, why: &str) {
        let help = nearest(name, self.places.keys().map(String::as_str)).map(|near| {
            let place = self.places.get(near).copied().flatten();
            let place = place.map(|at| format!(", defined at {}", cx.sources.place(at.file, at.start)));
            format!("did you mean `{near}`{}?", place.unwrap_or_default())
        });
        let help = help.or_else(|| {
            let names: Vec<&str> = self.places.keys().map(String::as_str).take(10).collect();
            (!names.is_empty()).then(|| format!("defined are `{}`", names.join("`, `")))
        });
        let name = crate::schema::check::shortened(name);
        cx.push(
            Diagnostic::error(code, at, format!("no {kind} `{name}`"))
                .label("not defined in any loaded file")
                .why(why)
                .maybe_help(help),
        );
    }
}

/// Everything that policies may refer to.
#[derive(Debug, Default)]
pub(super) struct Known {
    locations: Names,
    strengths: Names,
    apps: Names,
    app_groups: Names,
    policies: Names,
    has_geo: bool,
    claims: Vec<crate::settings::Claims>,
    /// Authentication contexts that some app asks for.
    contexts: Vec<AuthenticationContext>,
    /// Where each app names its upstreams.
    upstreams: Vec<At>,
    /// What tokens can prove, and what policies ask them to.
    proofs: proof::Proofs,
    alike: policy::Alike,
    /// Named by policies and not defined so far: a file that comes later may.
    awaited: Vec<Awaited>,
}

/// A name that some file should define.
#[derive(Debug)]
struct Awaited {
    kind: Referent,
    name: String,
    at: At,
    why: &'static str,
}

/// What policies may name before it is defined.
#[derive(Clone, Copy, Debug)]
enum Referent {
    Location,
    Strength,
}

impl Known {
    const fn names(&self, kind: Referent) -> &Names {
        match kind {
            Referent::Location => &self.locations,
            Referent::Strength => &self.strengths,
        }
    }

    /// A policy names something that files may define.
    fn refer(&mut self, kind: Referent, name: &str, at: At, why: &'static str) {
        if !self.names(kind).contains(name) {
            self.awaited.push(Awaited { kind, name: name.to_owned(), at, why });
        }
    }

    /// Tells what no file has defined.
    fn missing(&self, cx: &mut Context<'_>) {
        for Awaited { kind, name, at, why } in &self.awaited {
            let names = self.names(*kind);
            let (code, title) = match kind {
                Referent::Location => ("location/unknown", "named location"),
                Referent::Strength => ("strength/unknown", "authentication strength"),
            };
            if !names.contains(name) {
                names.unknown(cx, code, title, name, *at, why);
            }
        }
    }
}

/// A configuration under way: the main file first, then each included file, whose tree is not needed
/// afterwards. What comes of it counts only if there is no error.
#[derive(Debug)]
pub(crate) struct Lowering {
    folder: PathBuf,
    found: Vec<Diagnostic>,
    files: Vec<PathBuf>,
    /// Where each file or folder is named.
    pub(crate) named: Vec<Named>,
    written_names: hints::Written,
    main_at: Option<At>,
    known: Known,
    set: PolicySet,
    policy_denials: Vec<PolicyDenial>,
    /// Whether some app shows what is meant for full disclosure.
    some_app_is_full: bool,
    /// Locations and policies that were written; none of them may be missing from what runs.
    written: [usize; 2],
    settings: Option<Settings>,
}

/// What the main file alone can say.
#[derive(Debug)]
struct Settings {
    server: Server,
    trusted_proxies: TrustedProxies,
    issuers: Vec<Issuer>,
    apps: Vec<App>,
    geo: Option<Geo>,
    denial: Denial,
}

impl Lowering {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let (mut known, mut set) = (Known::default(), PolicySet::default());
        places::built_in_strengths(&mut known, &mut set);
        Self {
            folder,
            found: Vec::new(),
            files: Vec::new(),
            named: Vec::new(),
            written_names: hints::Written::default(),
            main_at: None,
            known,
            set,
            policy_denials: Vec::new(),
            some_app_is_full: false,
            written: [0; 2],
            settings: None,
        }
    }

    /// Takes what the main file says.
    pub(crate) fn main(&mut self, node: &Node, sources: &Sources) {
        let Self { folder, found, files, named, known, set, .. } = self;
        let mut cx = Context { sources, folder, found, files, named };
        let main = View::new(&MAIN, node);
        self.main_at = Some(At { end: node.at.start, ..node.at });
        self.written_names.apps(main);
        let settings = settings(&mut cx, main, known, set);
        self.some_app_is_full = denial::some_app_is_full(main);
        self.settings = settings;
        self.file(main, sources);
    }

    /// Takes what an included file says.
    pub(crate) fn included(&mut self, node: &Node, sources: &Sources) {
        self.file(View::new(&INCLUDED, node), sources);
    }

    fn file(&mut self, file: View<'_>, sources: &Sources) {
        let Self { folder, found, files, named, known, set, .. } = self;
        let mut cx = Context { sources, folder, found, files, named };
        self.written_names.policies(file);
        places::places(&mut cx, file, known, set);
        self.policy_denials.extend(policy::policies(&mut cx, file, known, set));
        for view in file.tables("policy", &POLICY) {
            denial::hidden_message(&mut cx, view, self.some_app_is_full);
            unused_contexts(&mut cx, view, &known.contexts);
        }
        let [locations, policies] = &mut self.written;
        *locations += file.items("location").len();
        *policies += file.items("policy").len();
    }

    /// The configuration, if nothing is missing, and every problem.
    /// Hints are given only where nothing was `refused`, here or before: they would drown what must be mended.
    pub(crate) fn end(self, sources: &Sources, refused: bool) -> (Option<Config>, Vec<Diagnostic>) {
        let Self {
            folder,
            mut found,
            mut files,
            mut named,
            written_names,
            main_at,
            known,
            mut set,
            policy_denials,
            written,
            settings,
            ..
        } = self;
        let mut cx =
            Context { sources, folder: &folder, found: &mut found, files: &mut files, named: &mut named };
        known.missing(&mut cx);
        if !refused && found.iter().all(|diagnostic| diagnostic.severity != Severity::Error) {
            let (found, files, named) = (&mut found, &mut files, &mut named);
            known.proofs.tell(&mut Context { sources, folder: &folder, found, files, named }, &set);
            written_names.near_misses(sources, found);
            match main_at.filter(|_| set.policies.is_empty()) {
                Some(at) => found.push(
                    Diagnostic::warning("policy/none", at, "there is no policy")
                        .why("every request meets what its app says under `unmatched`, which refuses unless it says `allow`")
                        .help("write `policies = [\"policies/*.toml\"]` and a policy; `portcullis import` brings Entra's"),
                ),
                None => hints::uncovered(&set, |app| known.apps.places.get(app).copied().flatten(), found),
            }
            if let Some(settings) = &settings {
                paths::shared_upstreams(&settings.apps, &set, &known.upstreams, found);
            }
        }
        // Nothing that was written may be missing from what runs: a lost policy would protect nothing.
        let settings = settings.filter(|_| [set.locations.len(), set.policies.len()] == written);
        let config = settings.map(|settings| {
            set.policies.shrink_to_fit();
            let Settings { server, trusted_proxies, issuers, apps, geo, mut denial } = settings;
            denial.policies = policy_denials;
            denial.policies.shrink_to_fit();
            Config { server, trusted_proxies, issuers, apps, geo, denial, policies: set, files }
        });
        (config, found)
    }
}

fn settings(
    cx: &mut Context<'_>,
    main: View<'_>,
    known: &mut Known,
    set: &mut PolicySet,
) -> Option<Settings> {
    let insecure = main.table("insecure-options", &INSECURE);
    let allows = |name: &str| insecure.is_some_and(|view| view.boolean(name, false));
    let server =
        main.table("server", &SERVER).and_then(|view| server::server(cx, view, allows("public-admin")));
    let trusted_proxies = match main.table("trusted-proxies", &TRUSTED_PROXIES) {
        Some(view) => server::trusted_proxies(cx, view, allows("trust-any-proxy")),
        None => TrustedProxies::default(),
    };
    let geo = main.table("geo", &crate::schema::tables::GEO).and_then(|view| server::geo(cx, view));

    cx.not_empty(main, "issuer", "no token would ever be accepted");
    let mut issuer_names = Names::default();
    let mut issuers = Vec::new();
    let evidence = main.table("evidence", &EVIDENCE);
    let contexts_satisfy = evidence.and_then(|view| view.get("contexts-satisfy")).and_then(Node::boolean);
    for view in main.tables("issuer", &ISSUER) {
        if let Some(issuer) = issuer::issuer(cx, view, &mut issuer_names, contexts_satisfy) {
            known.proofs.issuers.push(proof::IssuerProofs::of(view, &issuer));
            issuers.push(issuer);
        }
    }
    issuer::same_iss(cx, main);

    known.has_geo = main.get("geo").is_some();
    known.claims = issuers.iter().map(|issuer| issuer.claims.clone()).collect();
    if let Some(view) = evidence {
        set.evidence = denial::evidence(cx, view);
    }
    cx.not_empty(main, "app", "there would be nothing to protect");
    let mut apps = Vec::new();
    let mut app_denials = Vec::new();
    let own = server
        .iter()
        .flat_map(|server| server.listeners.iter().map(|listener| listener.address).chain([server.admin]));
    let mut routes = app::Routes::new(own.collect());
    for view in main.tables("app", &APP) {
        if let Some((settings, model)) = app::app(cx, view, &issuers, &issuer_names, known, &mut routes) {
            known.contexts.extend(settings.contexts.iter().map(|(_, context)| *context));
            known.upstreams.push(view.at_key("upstreams"));
            known.proofs.apps.push(proof::AppProofs::of(&settings));
            apps.push(settings);
            app_denials.push(denial::of_app(view));
            set.apps.push(model);
        }
    }
    let denial = denial::denial(cx, main, app_denials);
    let complete = issuers.len() == main.items("issuer").len() && apps.len() == main.items("app").len();
    complete.then_some(())?;
    Some(Settings { server: server?, trusted_proxies, issuers, apps, geo, denial: denial? })
}

/// A policy for a context that no app asks for is never consulted.
fn unused_contexts(cx: &mut Context<'_>, policy: View<'_>, asked: &[AuthenticationContext]) {
    for (text, at) in policy.texts("authentication-contexts") {
        if values::context(text).is_ok_and(|context| !asked.contains(&context)) {
            cx.push(
                Diagnostic::warning("context/unused", at, format!("no app asks for context `{text}`"))
                    .why("the policy would never apply because of it")
                    .help("name it in an app: `contexts = [{ path = \"/admin\", context = \"c1\" }]`"),
            );
        }
    }
}
