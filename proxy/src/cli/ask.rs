//! What `what-if`, `test` and `analyze` share: a configuration compiled, countries looked up, and a
//! question asked both of the engine and of its explanation.

use std::path::Path;

use percent_encoding::{CONTROLS, percent_encode};
use portcullis_config::ask::{Asking, Question};
use portcullis_config::diagnose::{Diagnostic, Sources, render_text};
use portcullis_config::settings::App;
use portcullis_config::{Config, load};
use portcullis_policy::decision::Generation;
use portcullis_policy::explain::{Explanation, explain};
use portcullis_policy::path::{ReadPath, read};
use portcullis_policy::reference::Conclusion;
use portcullis_policy::remedy::{self, Installation, Remedies};
use portcullis_policy::signals::Fact;
use portcullis_policy::{CompiledPolicies, NoObserver, Outcome};

use super::terminal::{self, Failure};
use crate::context::geo::{GeoDatabase, GeoState};
use crate::refusal::{Carrier, Refusal};
use crate::route::PrefixRewrite;
use crate::state::candidates;

/// A configuration that questions can be put to.
pub(super) struct Subject {
    pub(super) config: Config,
    pub(super) policies: CompiledPolicies,
    geo: GeoState,
}

/// An answer, and why.
pub(super) struct Answered {
    pub(super) explanation: Explanation,
    pub(super) remedies: Remedies,
    /// The code and the reason's word, unless let in.
    pub(super) code: Option<(u32, &'static str)>,
    /// Whether waiting would help.
    pub(super) is_temporary: bool,
    /// Whether the app opens the path to everybody: what the policies say is not asked.
    pub(super) is_public: bool,
}

impl Subject {
    /// Loads what `run` would serve. All problems are shown, with their places.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let loaded = load(path);
        let Some(config) = loaded.config else {
            return Err(invalid("the configuration", &loaded.diagnostics, &loaded.sources));
        };
        let geo = match &config.geo {
            None => GeoState::NotConfigured,
            // Questions that name a country can be asked without it.
            Some(geo) if !geo.database.exists() => GeoState::Missing,
            Some(geo) => GeoState::Ready(Box::new(
                GeoDatabase::open(&geo.database, &geo.country_path)
                    .map_err(|problem| format!("{}: {problem}", terminal::shown(&geo.database)))?,
            )),
        };
        let policies =
            CompiledPolicies::compile(config.policies.clone(), Generation(1)).map_err(|problems| {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                lines.join("\n")
            })?;
        Ok(Self { config, policies, geo })
    }

    /// Asks. The country is looked up when the question does not name it.
    ///
    /// # Errors
    /// When the engine and its explanation differ, which is a mistake in this program.
    pub(super) fn ask(&self, question: &mut Question) -> Result<Answered, Failure> {
        self.answer(question, true)
    }

    /// The same, without looking for what would let it in.
    pub(super) fn decide(&self, question: &mut Question) -> Result<Answered, Failure> {
        self.answer(question, false)
    }

    /// Adds what the app will see, where it is asked under another path: that is judged, too.
    fn add_what_the_app_sees(&self, question: &mut Question) -> Result<(), Failure> {
        let asked = &question.signals;
        let app = self.config.apps.get(asked.target.app.0 as usize);
        let Some((app, rewrite)) = app.and_then(|app| Some((app, PrefixRewrite::of(app)?))) else {
            return Ok(());
        };
        let seen = seen_of(&rewrite, &asked.path).ok_or("the app receives no such path")?;
        let context = asked.target.context;
        let others = seen.others().iter().map(String::as_str);
        for path in [seen.written()].into_iter().chain(others) {
            let (own, by_case) = app.contexts_of(path);
            let readings = [Some(own), by_case].into_iter().flatten();
            let readings = readings.map(|own| (path.to_owned(), own.or(context)));
            question.other_readings.extend(readings);
        }
        Ok(())
    }

    fn answer(&self, question: &mut Question, with_remedies: bool) -> Result<Answered, Failure> {
        self.add_what_the_app_sees(question)?;
        let asked = &mut question.signals;
        if question.looks_up_country {
            asked.context.country = match asked.context.address {
                Fact::Known(address) => self.geo.country(address),
                Fact::Unknown => Fact::Unknown,
                Fact::Unavailable => Fact::Unavailable,
            };
        }
        let question = &*question;
        let context = question.signals.client_context();
        let scope = self.policies.bind(&question.signals.principal);
        let readings = question.readings();
        let (signals, _) = self.policies.decide_readings(
            &scope,
            &question.signals.signals(&context),
            &readings,
            &mut NoObserver,
        );
        let decision = self.policies.decide(&scope, &signals);
        let explanation = explain(self.policies.set(), &signals);
        let same = match (&decision.outcome, &explanation.conclusion) {
            (Outcome::Grant(permit), Conclusion::Grant(limits)) => permit.session() == *limits,
            (Outcome::Challenge(one), Conclusion::Challenge(other))
            | (Outcome::Deny(one), Conclusion::Deny(other))
            | (Outcome::Block(one), Conclusion::Block(other)) => one == other,
            (Outcome::Grant(_) | Outcome::Challenge(_) | Outcome::Deny(_) | Outcome::Block(_), _) => false,
        };
        if !same {
            return Err("the decision and its explanation differ; please report this request".into());
        }
        let carrier = if question.is_bearer { Carrier::Bearer } else { Carrier::BrowserSession };
        let evidence = &self.policies.set().evidence;
        let refusal = explanation
            .conclusion
            .refused()
            .map(|refused| Refusal::by_policies(*refused, &question.signals.principal, evidence, carrier));
        let info = refusal.map(|refusal| refusal.info());
        let code = info.map(|info| (info.code, info.reason));
        let is_temporary = info.is_some_and(|info| info.is_temporary());
        let remedies = if with_remedies {
            let candidates = candidates(&self.policies, &self.geo);
            let steps_max = remedy::STEPS_MAX;
            let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max };
            remedy::find(&self.policies, &scope, &signals, &readings, &installation)
        } else {
            Remedies::default()
        };
        Ok(Answered { explanation, remedies, code, is_temporary, is_public: question.is_public })
    }
}

impl Answered {
    /// What becomes of the request, in a word.
    pub(super) const fn outcome(&self) -> &'static str {
        if self.is_public { PUBLIC } else { self.explanation.conclusion.as_str() }
    }
}

/// A configuration to which questions are put at a time in Unix seconds.
pub(super) fn asking(config: &Config, now: i64) -> Asking<'_> {
    let is_received = |app: &App, path: &str| {
        PrefixRewrite::of(app).is_none_or(|rewrite| seen_of(&rewrite, path).is_some())
    };
    Asking { config, now, is_received }
}

/// What an app sees of a path.
fn seen_of(rewrite: &PrefixRewrite, path: &str) -> Option<ReadPath<'static>> {
    let sent = percent_encode(path.as_bytes(), CONTROLS).to_string();
    rewrite.target(sent.as_bytes()).ok().map(|seen| seen.path)
}

/// Paths of an app, as its clients ask for them, under which a policy that names `path` may see that one; the likeliest first.
pub(super) fn own_paths(app: &App, path: &str) -> Vec<String> {
    let sent = percent_encode(path.as_bytes(), CONTROLS).to_string();
    let led_back = PrefixRewrite::of(app).and_then(|rewrite| rewrite.back(&sent));
    let led_back = led_back.and_then(|path| Some(read(path.as_bytes()).ok()?.written().to_owned()));
    let below = format!("{}{path}", app.path_prefix.trim_end_matches('/'));
    let all = [Some(path.to_owned()), led_back, Some(below), Some(app.path_prefix.clone())];
    let mut own: Vec<String> = Vec::new();
    for path in all.into_iter().flatten() {
        if app.has_path(&path) && !own.contains(&path) {
            own.push(path);
        }
    }
    own
}

/// The word for a request that is let in as nobody.
pub(super) const PUBLIC: &str = "public";

/// Diagnostics of what is invalid, as a failure.
pub(super) fn invalid(what: &str, diagnostics: &[Diagnostic], sources: &Sources) -> Failure {
    format!("{what} is invalid\n{}", render_text(diagnostics, sources)).into()
}
