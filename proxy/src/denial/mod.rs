//! What a client is shown when a request stops: the only room that writes refusals.
//!
//! The user learns five things: is it me or the system, what was seen, what can be done now, will
//! waiting help, and what to send to whom. An attacker learns no rule from it:
//! - without a verified token nothing of app, address, device or policy is shown;
//! - what passed is never listed, a risk is never named, a policy never appears;
//! - nothing of path, query, header or token is ever reflected, but for links back, percent-encoded: the target in one to our
//!   own sign-in, the query in those to the same page in other languages.

pub(crate) mod branding;
mod card;
pub(crate) mod cldr;
mod concerns;
pub(crate) mod details;
pub(crate) mod escape;
mod facts;
mod forms;
pub(crate) mod headers;
pub(crate) mod headline;
mod json;
pub(crate) mod languages;
mod links;
pub(crate) mod markup;
mod negotiate;
pub(crate) mod page;
mod parts;
mod plain;
mod problem;
pub mod read_out;
mod repeats;
mod script;
mod seal;
mod step;
mod step_up;
mod steps;
pub(crate) mod texts;
mod thinning;
mod view;

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::hash::Hash;
use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::Config;
use portcullis_config::settings::{AppDenial, Disclosure, FullTo, PolicyDenial, Subject};
use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, Refused};
use portcullis_policy::model::{AuthenticationContext, Policy};
use portcullis_policy::signals::{SignIn, Signals};

pub use facts::{DeviceState, Facts, OwnSignIn};
pub use forms::Program;
pub use negotiate::{Negotiated, RequestHints};
pub use seal::{CODE_LIFE_SECS, SealedDecision, SealedPolicy, UnsealError};
pub use step_up::StepUp;
pub use thinning::Repetition;

use crate::admit::Head;
use crate::decision_record::{DecisionRecord, NamedIds};
use crate::reference::Reference;
use crate::refusal::{Carrier, Refusal};
use branding::Branding;
use concerns::Concerns;
use page::{Frame, Page, Waits};
use repeats::Repeats;
use seal::Seal;
use step_up::{Contexts, StepUps};
use thinning::Thinning;
use view::{RenderContext, View, Words};

pub(crate) use view::is_verified;

/// Refusing policies named in a support code at most.
const SEALED_POLICIES_MAX: usize = 8;
/// Texts of operators on one page at most.
const WORDS_MAX: usize = 2;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The denials of one configuration: everything that does not change between two of them.
#[derive(Debug)]
pub struct Denials {
    branding: Branding,
    /// By position of the language.
    pages: Vec<Page>,
    /// The policy of content of a page that waits.
    content_policy_waiting: HeaderValue,
    /// The fixed part of a head, by position of the language.
    heads: Vec<HeaderMap>,
    disclosure: Disclosure,
    full_to: FullTo,
    /// Position of the installation's default language.
    language: usize,
    apps: Vec<AppDenial>,
    policies: Vec<PolicyDenial>,
    /// What each policy is about.
    concerns: Vec<Concerns>,
    /// Id and digest of each policy.
    policy_ids: Vec<(String, [u8; 4])>,
    step_ups: StepUps,
    repeats: Repeats,
    thinning: Thinning,
    seal: Seal,
    named: NamedIds,
    policies_digest: [u8; 8],
    generation: u64,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields, type and length of the body included.
    pub headers: HeaderMap,
    /// The body; the caller leaves it out where the request was `HEAD`.
    pub body: Bytes,
    /// Why the request counts as refused; `None` where the answer is no refusal.
    pub refusal: Option<Refusal>,
    /// What the status line of HTTP/1.1 says in place of the usual words, for programs that show nothing else.
    pub phrase: Option<String>,
}

/// A refusal that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'r> {
    /// The app's id; empty for none.
    pub app: &'r str,
    /// Whether it is answered as a page.
    pub is_page: bool,
    /// The request.
    pub request_id: u128,
    /// Unix milliseconds.
    pub now_unix_ms: i64,
}

impl Denials {
    /// Prepares pages, challenges and keys. A link, logo or colour that could carry more than it
    /// says is left out.
    #[must_use]
    pub fn new(config: &Config, generation: u64) -> Self {
        let settings = &config.denial;
        let branding = Branding::new(settings, &config.apps);
        let frame = Frame::new(&branding, settings.template.as_deref());
        let content_policy = |waits: Waits| {
            HeaderValue::from_str(&frame.content_policy(waits))
                .unwrap_or(const { HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'") })
        };
        let csp = content_policy(Waits::No);
        let pages = languages::ALL.iter().map(|language| Page::new(&frame, language)).collect();
        Self {
            pages,
            content_policy_waiting: content_policy(Waits::Yes),
            heads: languages::ALL.iter().map(|language| headers::fixed(&csp, language.tag)).collect(),
            disclosure: settings.disclosure,
            full_to: settings.full_to,
            language: languages::position(settings.language).unwrap_or(0),
            apps: settings.apps.clone(),
            policies: settings.policies.clone(),
            concerns: config.policies.policies.iter().map(Concerns::of).collect(),
            policy_ids: config
                .policies
                .policies
                .iter()
                .map(|policy| (policy.id.to_string(), policy_digest(policy)))
                .collect(),
            step_ups: StepUps::of(&config.policies),
            repeats: Repeats::new(),
            thinning: Thinning::new(),
            seal: Seal::new(&settings.support_keys),
            named: NamedIds::of(&config.policies),
            policies_digest: policies_digest(&config.policies),
            generation,
            branding,
        }
    }

    /// The answer to a refused request, in the form and the language that its client reads.
    ///
    /// How much it shows is the strictest that the refusing policies ask for; a policy that says
    /// nothing follows its app, an app that says nothing the installation. That can only take away:
    /// who has no verified token is shown nothing, whatever it says.
    #[must_use]
    pub fn render(&self, refusal: &Refusal, facts: &Facts<'_>, hints: &RequestHints<'_>) -> Answer {
        self.render_at(refusal, facts, hints, self.disclosure(refusal, facts))
    }

    /// The same at a disclosure of the caller's choice, for previews.
    #[must_use]
    pub fn render_at(
        &self,
        refusal: &Refusal,
        facts: &Facts<'_>,
        hints: &RequestHints<'_>,
        disclosure: Disclosure,
    ) -> Answer {
        let position = self.language_for(refusal, facts, hints);
        // INVARIANT: `choose` and `position` give positions of `ALL`, and there is a page and a head for each.
        let (Some(language), Some(page), Some(head)) =
            (languages::ALL.get(position), self.pages.get(position), self.heads.get(position))
        else {
            return Answer {
                status: 500,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                refusal: Some(*refusal),
                phrase: None,
            };
        };
        let (form, info, texts) = (hints.negotiate(), refusal.info(), &language.texts);
        let shows_code = !matches!(form, Negotiated::Grpc(_));
        let context = RenderContext {
            branding: &self.branding,
            texts,
            disclosure,
            words: self.words(facts),
            repeats: facts.repeats.unwrap_or(1),
            support_code: if shows_code { self.support_code(refusal, facts, info.code) } else { None },
            can_repeat: hints.is_get(),
            by_script: !hints.is_navigation(),
        };
        let view = View::of(refusal, facts, context);
        let mut headers = headers::common(refusal, &view, facts, &self.step_ups, head);
        let mut phrase = None;
        let (content_type, body) = match form {
            Negotiated::Grpc(kind) => {
                headers::grpc(&mut headers, kind, &view, &forms::grpc_message(&view, texts));
                return Answer {
                    status: 200,
                    headers,
                    body: Bytes::new(),
                    refusal: Some(*refusal),
                    phrase: None,
                };
            }
            Negotiated::Program(program) => {
                program.headers(&mut headers, &view);
                let form = program.form(&view, &self.branding, texts);
                phrase = form.phrase;
                (form.content_type, form.body)
            }
            Negotiated::Html => {
                if view.waits_by().is_some() {
                    headers.insert(CONTENT_SECURITY_POLICY, self.content_policy_waiting.clone());
                }
                (headers::HTML, html(page, &view, hints, &mut headers))
            }
            Negotiated::Json => (headers::JSON, problem::json(&view, &self.branding, texts)),
            Negotiated::Plain => {
                phrase = hints.shows_status_line().then(|| forms::phrase(&view));
                (headers::PLAIN, plain::text(&view, &self.branding, texts))
            }
        };
        if hints.unpoly && form == Negotiated::Html {
            headers::for_unpoly(&mut headers);
        }
        headers::body(&mut headers, content_type, body.len());
        let body = Bytes::from(body);
        Answer { status: info.status, headers, body, refusal: Some(*refusal), phrase }
    }

    /// Counts a refusal by policies, of the user or program with this id; `applied` are all that applied.
    #[must_use]
    pub fn count(
        &self,
        refusal: &Refusal,
        user: &str,
        applied: &[(PolicyIndex, PolicyResult)],
        asked: Counted<'_>,
    ) -> Repetition {
        let code = refusal.info().code;
        if asked.is_page {
            return self.count_page(user, code, asked);
        }
        // The one line that is written for several has the policies and the reasons of each of them.
        let reasons = match refusal {
            Refusal::Policy(refused, _) => Some(refused.reasons),
            _ => None,
        };
        let reasons: Vec<&str> =
            reasons.iter().flat_map(|reasons| reasons.iter()).map(|one| one.as_str()).collect();
        let applied: Vec<(u32, &str)> = applied.iter().map(|(at, result)| (at.0, result.as_str())).collect();
        self.thin((user, asked.app, code, reasons, applied), asked)
    }

    /// Counts a refusal of somebody who is known by an address at most.
    #[must_use]
    pub fn count_by_address(
        &self,
        refusal: &Refusal,
        address: Option<IpAddr>,
        asked: Counted<'_>,
    ) -> Repetition {
        let code = refusal.info().code;
        let who = address.map(|address| address.to_string()).unwrap_or_default();
        if asked.is_page {
            return self.count_page(&who, code, asked);
        }
        self.thin((who, asked.app, code, refusal.reason()), asked)
    }

    fn count_page(&self, who: &str, code: u32, asked: Counted<'_>) -> Repetition {
        let repeats = self.repeats.count(who, asked.app, code, asked.now_unix_ms.div_euclid(1_000));
        Repetition { repeats, is_page: true, same_as: None }
    }

    fn thin(&self, situation: impl Hash, asked: Counted<'_>) -> Repetition {
        let now = asked.now_unix_ms.div_euclid(1_000);
        self.thinning.count(situation, now, Reference::of(asked.request_id))
    }

    /// Whether the answer is made with the whole [`DecisionRecord`]: to seal it, or to challenge by its claims.
    #[must_use]
    pub fn wants_record(&self, refusal: &Refusal) -> bool {
        self.seal.seals() || refusal.info().status == 401
    }

    /// What a new sign-in must bring to satisfy the policies that refused: `applied` are all that applied, `asked` is
    /// the context that the route asks for, `sign_in` the present one.
    #[must_use]
    pub fn step_up(
        &self,
        refused: Refused,
        applied: &[(PolicyIndex, PolicyResult)],
        asked: Option<AuthenticationContext>,
        sign_in: &SignIn,
    ) -> StepUp {
        let contexts = Contexts { asked, held: sign_in.contexts.clone(), acr: sign_in.acr.clone() };
        let mut step_up = self.step_ups.needed(refused, applied, &contexts);
        let is_too_old =
            refused.reasons.contains(ReasonCode::SignInTooOld) || refused.primary == ReasonCode::SignInTooOld;
        if is_too_old && step_up.max_age_secs.is_none() {
            step_up.max_age_secs = Some(0);
        }
        step_up
    }

    /// Writes down what a refusal was decided on, for [`Facts::record`] and the decision log. `app`
    /// is the app's id.
    #[must_use]
    pub fn record(&self, signals: &Signals<'_>, app: &str, carrier: Carrier) -> DecisionRecord {
        DecisionRecord::of(signals, app, carrier, &self.named)
    }

    /// A person or program as the decision log names it.
    #[must_use]
    pub fn subject(&self, how: Subject, id: &str) -> Option<String> {
        self.seal.subject(how, id)
    }

    /// Whether a log names this person or program so, by the present key or one that only opens.
    #[must_use]
    pub fn is_hash_of(&self, text: &str, id: &str) -> bool {
        self.seal.is_hash_of(text, id)
    }

    /// Opens a support code.
    ///
    /// # Errors
    /// When it is no code, or none of this installation's.
    pub fn open(&self, code: &str) -> Result<SealedDecision, UnsealError> {
        self.seal.open(code)
    }

    /// The digest of the policies, which shows whether they changed since a decision.
    #[must_use]
    pub const fn policies_digest(&self) -> [u8; 8] {
        self.policies_digest
    }

    /// The digest of one policy's text.
    #[must_use]
    pub fn digest_of(&self, policy: PolicyIndex) -> Option<[u8; 4]> {
        self.policy_ids.get(policy.0 as usize).map(|(_, digest)| *digest)
    }

    fn app(&self, facts: &Facts<'_>) -> Option<&AppDenial> {
        self.apps.get(facts.app_index?.0 as usize)
    }

    /// Policies that refused or asked for more, with their results.
    fn refusing<'f>(&self, facts: &'f Facts<'_>) -> impl Iterator<Item = (usize, PolicyResult)> + use<'f> {
        facts
            .applied
            .iter()
            .filter(|(_, result)| matches!(result, PolicyResult::Failure | PolicyResult::Interrupted))
            .map(|(policy, result)| (policy.0 as usize, *result))
    }

    fn disclosure(&self, refusal: &Refusal, facts: &Facts<'_>) -> Disclosure {
        if !is_verified(refusal) {
            return Disclosure::Minimal;
        }
        let base = self.app(facts).and_then(|app| app.disclosure).unwrap_or(self.disclosure);
        let of = |policy: usize| self.policies.get(policy).and_then(|said| said.disclosure).unwrap_or(base);
        let asked = self.refusing(facts).map(|(policy, _)| of(policy)).min().unwrap_or(base);
        let is_managed =
            matches!(facts.device, DeviceState::Compliant { .. } | DeviceState::HybridJoined { .. });
        match self.full_to {
            FullTo::ManagedDevices if !is_managed => asked.min(Disclosure::Standard),
            FullTo::ManagedDevices | FullTo::Everybody => asked,
        }
    }

    fn words(&self, facts: &Facts<'_>) -> Vec<Words<'_>> {
        let mut words: Vec<Words<'_>> = Vec::new();
        for (policy, _) in self.refusing(facts) {
            let said = self.policies.get(policy).and_then(|said| said.message.as_deref());
            let Some(text) = said else { continue };
            if words.len() < WORDS_MAX && words.iter().all(|known| known.text != text) {
                words.push(Words { text, concerns: self.concerns.get(policy) });
            }
        }
        words
    }

    /// ORACLE: an app's own language is spoken to who was verified alone, or it would
    /// distinguish apps.
    fn language_for(&self, refusal: &Refusal, facts: &Facts<'_>, hints: &RequestHints<'_>) -> usize {
        let own = self.app(facts).filter(|_| is_verified(refusal)).and_then(|app| app.language);
        let default = own.and_then(languages::position).unwrap_or(self.language);
        languages::choose(hints.query, hints.accept_language, default)
    }

    fn support_code(&self, refusal: &Refusal, facts: &Facts<'_>, code: u32) -> Option<String> {
        let (Refusal::Policy(..), Some(record), true) = (refusal, facts.record, self.seal.seals()) else {
            return None;
        };
        let refusing = self.refusing(facts).filter_map(|(policy, result)| {
            let (id, digest) = self.policy_ids.get(policy)?.clone();
            Some(SealedPolicy { id, result: result.as_str().to_owned(), digest })
        });
        let decision = SealedDecision {
            request_id: facts.request_id,
            now_unix_ms: facts.now_unix_ms,
            code,
            generation: self.generation,
            policies_digest: self.policies_digest,
            refusing: refusing.take(SEALED_POLICIES_MAX).collect(),
            record,
        };
        // All codes have one length. So what does not fit is cut, and never left without a code: that would tell, too.
        self.seal.seal(&decision).or_else(|| {
            let mut reduced = record.clone();
            reduced.reduce();
            let mut decision = SealedDecision { record: &reduced, ..decision };
            self.seal.seal(&decision).or_else(|| {
                decision.refusing.truncate(1);
                let core = reduced.core();
                self.seal.seal(&SealedDecision { record: &core, ..decision })
            })
        })
    }
}

/// What distinguishes a policy from what its text was before.
#[must_use]
pub fn policy_digest(policy: &Policy) -> [u8; 4] {
    digest(policy).first_chunk().copied().unwrap_or_default()
}

/// The longest query that a denial's links keep, in bytes: the page stays small.
const KEPT_BYTES_MAX: usize = 96;

/// The page for people, or the list of languages that it leads to.
fn html(page: &Page, view: &View<'_>, hints: &RequestHints<'_>, headers: &mut HeaderMap) -> Vec<u8> {
    let kept = hints.is_get().then(|| languages::kept_query(hints.query));
    if let Some(kept) = kept.as_deref().filter(|_| languages::asks_for_list(hints.query)) {
        return page.render_languages(kept);
    }
    if view.has_form() {
        // A page that sends no referrer sends forms with `Origin: null` (Fetch, "append a request Origin header").
        headers.insert(REFERRER_POLICY, const { HeaderValue::from_static("same-origin") });
    }
    page.render(view, kept.as_deref().map(|kept| if kept.len() > KEPT_BYTES_MAX { "" } else { kept }))
}

/// What distinguishes one set of policies from another. The set's own `Debug` form is hashed as it is
/// written: it has every field, and no order but the files'.
fn policies_digest(set: &PolicySet) -> [u8; 8] {
    digest(set)
}

fn digest(what: &impl fmt::Debug) -> [u8; 8] {
    struct Hashing(Context);
    impl fmt::Write for Hashing {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let mut hashing = Hashing(Context::new(&SHA256));
    // INVARIANT: writing to a digest cannot fail.
    let _ = write!(hashing, "{what:?}");
    hashing.0.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// The id of the trace that a request belongs to (`traceparent`; W3C Trace Context, section 3.2): 128 bits,
/// as a number, so that nothing else of the header is ever shown.
#[must_use]
pub fn trace_id(head: &Head<'_>) -> Option<u128> {
    parse_traceparent(head.hint(&TRACEPARENT)?)
}

fn parse_traceparent(traceparent: &str) -> Option<u128> {
    let mut fields = traceparent.trim().split('-');
    let (version, id) = (fields.next()?, fields.next()?);
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if version.len() != 2 || id.len() != 32 || !is_hex(version) || !is_hex(id) || version == "ff" {
        return None;
    }
    u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)
}
