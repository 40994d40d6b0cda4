//! What issuers, providers and upstreams answer: asked as `run` asks them, each within a few seconds and all at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portcullis_config::diagnose::{Diagnostic, FileId, Severity};
use portcullis_config::settings::{App, Issuer, KeySource, Upstream, UpstreamAddress};
use portcullis_config::{Config, Loaded};
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::terminal;
use super::answer::Answer;
use super::provider::ask_provider;
use super::store::ask_store;
use crate::token::{FetchError, try_issuer};
use crate::upstream::{Address, try_upstream};

/// The longest that one step of asking an upstream may take.
const STEP: Duration = Duration::from_secs(3);
/// How far a clock may be off before we warn: the header has whole seconds, and an answer takes time.
const SKEW_SECS: i64 = 5;

/// Apps that are named at most of those that share an upstream.
const APPS_SHOWN: usize = 10;

/// The kind of machines that upstreams are, behind issuers, providers and the session store.
const UPSTREAM: u8 = 3;

/// Asks every issuer, provider and upstream, and the session store. Returns lines for people, and what is wrong.
pub(super) fn ask(loaded: &Loaded, config: &Config, clock: fn() -> i64) -> (Vec<String>, Vec<Diagnostic>) {
    crate::server::prepare_process();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else {
        return (vec!["nobody was asked: this machine has no threads left".to_owned()], Vec::new());
    };
    let mut answers = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (position, issuer) in config.issuers.iter().cloned().enumerate() {
            asked.spawn(async move { ((0, position), ask_issuer(&issuer, clock).await) });
        }
        for (position, provider) in config.providers.iter().cloned().enumerate() {
            let Some(issuer) = config.issuers.get(provider.issuer).cloned() else { continue };
            asked.spawn(async move { ((1, position), ask_provider(&provider, &issuer).await) });
        }
        if let Some(session) = config.session.clone() {
            asked.spawn(async move { ((2, 0), ask_store(&session).await.into_iter().collect()) });
        }
        // Apps may share an upstream.
        let mut upstreams = BTreeMap::new();
        for app in &config.apps {
            for upstream in &app.upstreams {
                upstreams.entry(Reached::of(upstream)).or_insert_with(|| (app.clone(), upstream.clone()));
            }
        }
        let reached: Vec<Reached> = upstreams.keys().cloned().collect();
        for (position, (app, upstream)) in upstreams.into_values().enumerate() {
            asked.spawn(async move { ((UPSTREAM, position), vec![ask_upstream(&app, &upstream).await]) });
        }
        let mut answers = BTreeMap::new();
        while let Some(done) = asked.join_next().await {
            if let Ok((key, answer)) = done {
                answers.insert(key, answer);
            }
        }
        spare(config, &reached, &mut answers);
        answers.into_values().flatten().collect::<Vec<Answer>>()
    });
    // A name that is still being resolved must not hold the process.
    runtime.shutdown_background();
    let lines = answers.iter_mut().filter_map(|answer| answer.line.take()).collect();
    let problems = answers.into_iter().filter_map(|answer| {
        let (severity, code, what, why, help) = answer.problem?;
        let asked: Vec<&str> = answer.asked.iter().map(String::as_str).collect();
        let (file, span) = loaded.sources.find_value(&asked).unwrap_or((FileId::MAIN, 0..0));
        let (label, why, help) = (None, Some(why), Some(help));
        Some(Diagnostic { code, severity, file, span, what, label, why, help })
    });
    (lines, problems.collect())
}

/// What a connection to an upstream depends on; where all of it is the same, so is what comes of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reached {
    at: UpstreamAddress,
    name: Option<String>,
    ca: Option<PathBuf>,
    client: Option<PathBuf>,
}

impl Reached {
    fn of(upstream: &Upstream) -> Self {
        let tls = upstream.tls.as_ref();
        Self {
            at: upstream.at.clone(),
            name: upstream.tls_name().map(ToOwned::to_owned),
            ca: tls.and_then(|tls| tls.ca.as_ref()).map(|ca| ca.file.clone()),
            client: tls.and_then(|tls| tls.client.as_ref()).map(|files| files.certificate.clone()),
        }
    }
}

/// Answers by what was asked: kinds of machines, and which of them.
type Answers = BTreeMap<(u8, usize), Vec<Answer>>;

/// Says of an upstream that was not reached what that means for each app of it. It is no error where every one has
/// another that was: requests go there.
fn spare(config: &Config, reached: &[Reached], answers: &mut Answers) {
    let is_good = |answers: &Answers, upstream: &Upstream| {
        let position = reached.iter().position(|one| *one == Reached::of(upstream));
        let answers = position.and_then(|position| answers.get(&(UPSTREAM, position)));
        answers.is_some_and(|answers| answers.iter().all(|answer| answer.problem.is_none()))
    };
    let lives = |answers: &Answers, app: &App| app.upstreams.iter().any(|one| is_good(answers, one));
    for (position, which) in reached.iter().enumerate() {
        let of = config.apps.iter().filter(|app| app.upstreams.iter().any(|one| Reached::of(one) == *which));
        let (living, dead): (Vec<&App>, Vec<&App>) = of.partition(|app| lives(answers, app));
        for answer in answers.get_mut(&(UPSTREAM, position)).into_iter().flatten() {
            let Some((severity, _, _, why, _)) = &mut answer.problem else { continue };
            let spared = match living.is_empty() {
                true => None,
                false => Some(format!(
                    "other servers get the requests for {}: should they fail, too, it is 502",
                    named(&living)
                )),
            };
            let lost = match dead.is_empty() {
                true => None,
                false => Some(format!("requests for {} would be answered with 502", named(&dead))),
            };
            if lost.is_none() {
                *severity = Severity::Warning;
            }
            *why = [lost, spared].into_iter().flatten().collect::<Vec<_>>().join("; ");
        }
    }
}

/// Apps by their ids.
fn named(apps: &[&App]) -> String {
    let more = match apps.len().saturating_sub(APPS_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let ids: Vec<String> = apps.iter().take(APPS_SHOWN).map(|app| format!("`{}`", app.id)).collect();
    ids.join(", ") + &more
}

async fn ask_issuer(issuer: &Issuer, clock: fn() -> i64) -> Vec<Answer> {
    let started = Instant::now();
    let trial = try_issuer(issuer).await;
    let (name, url) = (&issuer.name, issuer.issuer.as_str());
    let mut answers = Vec::new();
    match trial.outcome {
        Ok(keys) => {
            let took = started.elapsed().as_millis();
            let keys = terminal::counted(keys, "key", "keys");
            answers.push(Answer::good(url, format!("issuer `{name}`: {keys}, in {took} ms")));
        }
        Err(FetchError::OtherIssuer) => {
            let theirs = trial.stated_issuer.unwrap_or_default();
            let theirs: String = theirs.chars().filter(|c| !c.is_control()).take(200).collect();
            let slash = theirs.trim_end_matches('/') == url.trim_end_matches('/');
            let help = if slash {
                format!(
                    "they differ only in the slash at the end: write `issuer = \"{theirs}\"`, as its tokens do"
                )
            } else {
                format!(
                    "write `issuer = \"{theirs}\"` if you trust that issuer, or name the document of `{url}`"
                )
            };
            let what = format!("the discovery document of issuer `{name}` is about `{theirs}`");
            answers.push(Answer::bad(
                url,
                "online/issuer",
                what,
                "its keys are not taken: every token would be 503",
                &help,
            ));
        }
        // A key file was checked already.
        Err(_) if matches!(issuer.keys, KeySource::File(_)) => {}
        Err(problem) => {
            let help = "look at the address, at name resolution, at firewalls and at the certificate, from this machine";
            let at = trial.asked.map_or_else(String::new, |asked| format!("`{asked}`: "));
            let what = format!("issuer `{name}`: {at}{problem}");
            let why = "without keys no token can be verified: every request would be 503";
            answers.push(Answer::bad(url, "online/issuer", what, why, help));
        }
    }
    let skew = trial.date.map(|theirs| theirs - clock());
    if let Some(skew) = skew.filter(|skew| skew.abs() > SKEW_SECS) {
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        let what = format!("the clock of issuer `{name}` is {} s {direction} this machine's", skew.abs());
        let why = "tokens would count as not yet valid, or as ended";
        let help = "synchronise this machine's clock; `leeway` is for small differences".to_owned();
        answers.push(Answer::of(url, Severity::Warning, "online/clock", what, why, help));
    }
    answers
}

async fn ask_upstream(app: &App, upstream: &Upstream) -> Answer {
    let scheme = match (&upstream.at, &upstream.tls) {
        (UpstreamAddress::Unix(_), _) => "",
        (UpstreamAddress::Network { .. }, None) => "http://",
        (UpstreamAddress::Network { .. }, Some(_)) => "https://",
    };
    let shown = format!("{scheme}{}", upstream.at);
    let bad = |what: String, help: &str| {
        let what = format!("upstream `{shown}`: {what}");
        let why = "requests for it would be answered with 502";
        // The usual port need not be written.
        let asked = vec![shown.clone(), shown.rsplit_once(':').map_or("", |(short, _)| short).to_owned()];
        Answer { asked, ..Answer::bad(&shown, "online/upstream", what, why, help) }
    };
    let addresses: Vec<Address> = match &upstream.at {
        UpstreamAddress::Unix(path) => vec![Address::Unix(path.as_str().into())],
        UpstreamAddress::Network { host, port } => {
            match timeout(STEP, lookup_host((host.as_str(), *port))).await {
                Ok(Ok(addresses)) => addresses.map(Address::from).collect(),
                Ok(Err(problem)) => {
                    return bad(
                        format!("the name does not resolve: {problem}"),
                        "look at the name and at DNS",
                    );
                }
                Err(_) => return bad("the name does not resolve in time".to_owned(), "look at DNS"),
            }
        }
    };
    if addresses.is_empty() {
        return bad("the name has no address".to_owned(), "look at DNS");
    }
    let mut problems = Vec::new();
    for address in addresses {
        let started = Instant::now();
        match try_upstream(app, upstream, address.clone(), STEP).await {
            Ok(()) if problems.is_empty() => {
                let tls = if upstream.tls.is_some() { " with TLS" } else { "" };
                let took = started.elapsed().as_millis();
                return Answer::good(&shown, format!("upstream `{shown}`: connected{tls}, in {took} ms"));
            }
            Ok(()) => break,
            Err(problem) => problems.push(format!("{address}: {problem}")),
        }
    }
    let help = if upstream.tls.is_some() {
        "is the app running, and is its certificate signed by a CA that this machine or `ca` trusts, for that name?"
    } else {
        "is the app running there, and does a firewall let this machine through?"
    };
    bad(problems.join("; "), help)
}
