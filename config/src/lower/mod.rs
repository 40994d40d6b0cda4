//! From trees to settings and policies: the only place that speaks both.
//!
//! Shapes were compared before; what is missing or of a wrong type here was already reported, so it is
//! passed over in silence. Lowering adds what only the meaning shows.

mod app;
mod authorities;
mod balance;
mod client_certificates;
mod clients;
mod conditions;
pub(crate) mod context;
mod definitions;
mod denial;
mod dns;
mod headers;
mod health;
mod hints;
mod hosts;
mod interner;
mod issuer;
mod listener;
mod names;
mod opening;
mod paths;
mod places;
mod policy;
mod proof;
mod provider;
mod rule;
mod secrets;
mod server;
mod session;
mod shaping;
mod sign_in;
mod template;
mod time;
mod upstream;
pub(crate) mod values;

use std::path::PathBuf;

use portcullis_policy::PolicySet;
use portcullis_policy::model::AuthenticationContext;

use context::{Context, Named};
use definitions::Definitions;
use names::Names;
use sign_in::SignIns;

use crate::diagnose::{At, Diagnostic, Severity, Sources};
use crate::schema::policy_tables::POLICY;
use crate::schema::sign_in_tables::PROVIDER;
use crate::schema::tables::{APP, EVIDENCE, INCLUDED, INSECURE, ISSUER, MAIN, SERVER, TRUSTED_PROXIES};
use crate::schema::tree::{Node, View};
use crate::settings::{App, Config, Denial, Dns, Geo, Issuer, PolicyDenial, Server, TrustedProxies};

/// A configuration in the making: the main file first, then each included file, whose tree is not needed
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
    known: Definitions,
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
    sign_ins: SignIns,
    apps: Vec<App>,
    dns: Dns,
    geo: Option<Geo>,
    denial: Denial,
}

impl Lowering {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let (mut known, mut set) = (Definitions::default(), PolicySet::default());
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
        let main = View::new(&MAIN, node);
        self.main_at = Some(At { end: node.at.start, ..node.at });
        self.written_names.apps(main);
        self.some_app_is_full = denial::some_app_is_full(main);
        self.settings(node, sources);
        self.file(main, sources);
    }

    /// Takes what it alone can say.
    pub(crate) fn settings(&mut self, node: &Node, sources: &Sources) {
        let Self { folder, found, files, named, known, set, .. } = self;
        let mut cx = Context { sources, folder, found, files, named };
        self.settings = settings(&mut cx, View::new(&MAIN, node), known, set);
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
        known.report_unresolved(&mut cx);
        if !refused && found.iter().all(|diagnostic| diagnostic.severity != Severity::Error) {
            let (found, files, named) = (&mut found, &mut files, &mut named);
            known.proofs.report(&mut Context { sources, folder: &folder, found, files, named }, &set);
            written_names.near_misses(sources, found);
            match main_at.filter(|_| set.policies.is_empty()) {
                Some(at) => found.push(
                    Diagnostic::warning("policy/none", at, "there is no policy")
                        .why("every request meets what its app says under `unmatched`, which refuses unless it says `allow`")
                        .help("write `policies = [\"policies/*.toml\"]` and a policy; `portcullis import` brings Entra's"),
                ),
                None => {
                    let apps = settings.as_ref().map_or(&[][..], |settings| &settings.apps);
                    hints::uncovered(&set, apps, |app| known.apps.places.get(app).copied().flatten(), found);
                }
            }
            if let Some(settings) = &settings {
                let place = |id: &str| known.policies.places.get(id).copied().flatten();
                hints::sessionless(&set, &settings.apps, place, found);
                opening::unasked(&set, &settings.apps, place, found);
                paths::shared_upstreams(&settings.apps, &set, &known.upstreams, found);
            }
        }
        // Nothing that was written may be missing from what runs: a lost policy would protect nothing.
        let settings = settings.filter(|_| [set.locations.len(), set.policies.len()] == written);
        let policy_places = set.policies.iter().map(|policy| {
            let at = known.policies.places.get(policy.id.as_str()).copied().flatten();
            at.map(|at| sources.place(at.file, at.start)).unwrap_or_default()
        });
        let policy_places = policy_places.collect();
        let config = settings.map(|settings| {
            set.policies.shrink_to_fit();
            let Settings { server, trusted_proxies, issuers, sign_ins, apps, dns, geo, mut denial } =
                settings;
            let SignIns { providers, session, host: sign_in_host, assertion, .. } = sign_ins;
            denial.policies = policy_denials;
            denial.policies.shrink_to_fit();
            Config {
                server,
                trusted_proxies,
                issuers,
                providers,
                session,
                sign_in_host,
                assertion,
                apps,
                dns,
                geo,
                denial,
                policies: set,
                policy_places,
                files,
            }
        });
        (config, found)
    }
}

fn settings(
    cx: &mut Context<'_>,
    main: View<'_>,
    known: &mut Definitions,
    set: &mut PolicySet,
) -> Option<Settings> {
    let insecure = main.table_or_default("insecure-options", &INSECURE);
    let server = main
        .table("server", &SERVER)
        .and_then(|view| server::server(cx, view, insecure.is_on("public-admin")));
    let trusted_proxies = server::trusted_proxies(
        cx,
        main.table_or_default("trusted-proxies", &TRUSTED_PROXIES),
        insecure.is_on("trust-any-proxy"),
    );
    if let (Some(server), Some(proxies)) = (&server, &trusted_proxies) {
        listener::redirect_loop(cx, main, server, proxies);
    }
    let geo = main.table("geo", &crate::schema::tables::GEO).and_then(|view| server::geo(cx, view));
    let dns = dns::dns(cx, main);

    cx.not_empty(main, "issuer", "no token would ever be accepted");
    let mut issuer_names = Names::default();
    let mut issuers = Vec::new();
    let evidence = main.table_or_default("evidence", &EVIDENCE);
    let contexts_satisfy = evidence.get("contexts-satisfy").and_then(Node::boolean);
    let of_providers: Vec<&str> =
        main.tables("provider", &PROVIDER).filter_map(|provider| provider.text("issuer")).collect();
    let has_issuer = |name: &&str| main.tables("issuer", &ISSUER).any(|view| view.text("name") == Some(name));
    // A provider whose issuer is misspelled may mean any of them, and that is said there.
    let of_providers = of_providers.iter().all(has_issuer).then_some(of_providers.as_slice());
    for view in main.tables("issuer", &ISSUER) {
        if let Some(issuer) = issuer::issuer(cx, view, &mut issuer_names, (contexts_satisfy, of_providers)) {
            known.proofs.issuers.push(proof::IssuerProofs::of(view, &issuer));
            issuers.push(issuer);
        }
    }
    issuer::same_iss(cx, main);

    let sign_ins =
        SignIns::of(cx, main, (&issuers, &issuer_names), (server.as_ref(), trusted_proxies.as_ref()));
    sign_ins.unused(cx, main);
    if let (Some(server), Some(proxies)) = (&server, &trusted_proxies) {
        sign_ins.plain_listeners(cx, main, server, proxies);
    }

    known.has_geo = main.get("geo").is_some();
    known.claims = issuers.iter().map(|issuer| issuer.claims.clone()).collect();
    set.evidence = denial::evidence(cx, evidence);
    cx.not_empty(main, "app", "there would be nothing to protect");
    let mut apps = Vec::new();
    let mut app_denials = Vec::new();
    let own = server
        .iter()
        .flat_map(|server| server.listeners.iter().map(|listener| listener.address).chain([server.admin]));
    let listeners = server.as_ref().map_or(&[][..], |server| &server.listeners);
    let entrances = server.as_ref().map(|_| client_certificates::Entrances::of(listeners));
    let mut routes = hosts::Routes::new(own.collect(), entrances);
    for view in main.tables("app", &APP) {
        if let Some((settings, model)) =
            app::app(cx, view, (&issuers, &issuer_names), &sign_ins, known, &mut routes)
        {
            known.contexts.extend(settings.contexts.iter().map(|(_, context)| *context));
            known.upstreams.push(view.at_key("upstreams"));
            known.proofs.apps.push(proof::AppProofs::of(&settings, &sign_ins.providers));
            apps.push(settings);
            app_denials.push(denial::of_app(view));
            set.apps.push(model);
        }
    }
    routes.shadowed(cx);
    let denial = denial::denial(cx, main, app_denials);
    let complete = issuers.len() == main.items("issuer").len()
        && apps.len() == main.items("app").len()
        && sign_ins.is_whole();
    complete.then_some(())?;
    Some(Settings {
        server: server?,
        trusted_proxies: trusted_proxies?,
        issuers,
        sign_ins,
        apps,
        dns: dns?,
        geo,
        denial: denial?,
    })
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
