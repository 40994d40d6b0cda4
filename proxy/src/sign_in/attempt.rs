//! One attempt to sign in: what must still be true when the browser comes back, sealed into a cookie of its own, so that
//! tabs do not disturb each other. The names and the number of these cookies are bounded: they go with every request of
//! the host.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::cookie::{Cookies, Kind};
use crate::own::{Demand, Prompt};
use crate::seal::{Purpose, Seals};

/// How long a user may take at the provider, in seconds.
pub(super) const ATTEMPT_SECS: i64 = 600;
/// How far clocks of replicas may differ, in seconds.
pub(super) const SKEW_SECS: i64 = 30;
/// Attempts of one browser at one host.
const ATTEMPTS_MAX: usize = 4;
/// What their cookies may have together, in bytes: less than a quarter of what servers take of a head.
const COOKIE_BYTES_MAX: usize = 4 * 1024;

/// What is sealed of an attempt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// 256 random bits; with a sealed time, so that a browser that keeps no cookies can be told from an old link.
    pub(super) state: String,
    pub(super) nonce: String,
    /// The PKCE verifier (RFC 7636, section 4.1).
    pub(super) verifier: String,
    pub(super) started_at: i64,
    /// The provider's name.
    pub(super) provider: String,
    /// The host at which the browser comes back.
    pub(super) host: String,
    pub(super) redirect_uri: String,
    pub(super) asked: Asked,
    pub(super) goal: Goal,
}

/// What was asked of the provider beyond a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) max_age_secs: Option<u64>,
    pub(super) acr_values: Vec<String>,
    pub(super) contexts: Vec<String>,
    /// What the provider was to ask the user.
    pub(super) prompt: Option<String>,
    /// What distinguishes the demand; `None` for a sign-in that asks for nothing else.
    pub(super) digest: Option<[u8; 16]>,
}

/// Where the user wants to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Goal {
    /// The app's id.
    pub(super) app: String,
    /// The origin of the app, as the browser knows it.
    pub(super) origin: String,
    /// A path on that host, with its query.
    pub(super) target: String,
    /// Where the sign-in host hands over: to the browser that holds the secret of this digest.
    pub(super) hand_over: Option<HandOverTo>,
}

/// To whom the sign-in host hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HandOverTo {
    /// The tag of the cookie at the app's host.
    pub(super) tag: String,
    /// The digest of the secret in it.
    pub(super) binding: [u8; 32],
}

impl Asked {
    /// What a demand asks of a provider.
    pub(super) fn of(demand: &Demand) -> Self {
        Self {
            max_age_secs: demand.max_age_secs,
            acr_values: demand.acr_values.clone(),
            contexts: demand.contexts.clone(),
            prompt: demand.prompt.map(|prompt| match prompt {
                Prompt::Login => "login".to_owned(),
                Prompt::SelectAccount => "select_account".to_owned(),
            }),
            digest: (!demand.is_plain()).then(|| demand.digest().0),
        }
    }
}

/// The part of an attempt that names its cookie. Not secret.
pub(super) fn tag_of(state: &str) -> String {
    let digest = digest(&SHA256, state.as_bytes());
    let bytes = digest.as_ref().iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// 256 random bits, as base64url.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The challenge of a verifier (RFC 7636, section 4.2, `S256`).
pub(super) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// A new `state`.
pub(super) fn new_state(seals: &Seals, now: i64) -> Option<String> {
    Some([random()?, seals.seal(Purpose::State, &now.to_be_bytes())?].join("."))
}

/// Whether this `state` is of ours and not older than an attempt may be, whoever it was made for.
pub(super) fn is_recent(seals: &Seals, state: &str, now: i64) -> bool {
    let started_at = state.split_once('.').and_then(|(_, stamp)| seals.open(Purpose::State, stamp).ok());
    let started_at = started_at.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
    started_at.is_some_and(|at| is_within(at, ATTEMPT_SECS, now))
}

/// Whether `now` is within so many seconds from a time.
pub(super) fn is_within(began_at: i64, secs: i64, now: i64) -> bool {
    (began_at.saturating_sub(SKEW_SECS)..=began_at.saturating_add(secs)).contains(&now)
}

/// `Set-Cookie` lines that keep something beside others of its kind, and take away those that are not `live`, or too much;
/// `live` says since when one is.
pub(super) fn keep(
    cookies: &Cookies<'_>,
    (kind, tag): (Kind, &str),
    sealed: &str,
    live: impl Fn(&str) -> Option<i64>,
) -> Option<Vec<HeaderValue>> {
    let mut lines = vec![cookies.set(kind, tag, sealed, ATTEMPT_SECS)?];
    let known = cookies.all(kind).map(|(tag, value)| (live(value), tag, value.len()));
    let (mut others, over): (Vec<_>, Vec<_>) = known.partition(|(at, ..)| at.is_some());
    // The latest first.
    others.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut bytes = sealed.len();
    let fits = others.iter().take(ATTEMPTS_MAX - 1).take_while(|(.., length)| {
        bytes += length;
        bytes <= COOKIE_BYTES_MAX
    });
    let kept = fits.count();
    let gone = others.iter().skip(kept).chain(&over);
    lines.extend(gone.filter_map(|(_, tag, _)| cookies.delete(kind, tag)));
    Some(lines)
}

impl Attempt {
    /// The attempt of this browser to which `state` belongs.
    pub(super) fn find(cookies: &Cookies<'_>, seals: &Seals, state: &str, now: i64) -> Option<Self> {
        let sealed = cookies.get(Kind::Attempt, &tag_of(state))?;
        let attempt = Self::open(seals, sealed)?;
        let is_same = verify_slices_are_equal(attempt.state.as_bytes(), state.as_bytes()).is_ok();
        (is_same && attempt.is_live(now)).then_some(attempt)
    }

    /// `Set-Cookie` lines that keep this attempt, and take away what is over, unreadable, or too much.
    pub(super) fn keep(&self, cookies: &Cookies<'_>, seals: &Seals) -> Option<Vec<HeaderValue>> {
        let sealed = seals.seal(Purpose::Attempt, &postcard::to_stdvec(self).ok()?)?;
        let began_at = |value: &str| Self::open(seals, value).map(|known| known.started_at);
        let live = |value: &str| began_at(value).filter(|at| is_within(*at, ATTEMPT_SECS, self.started_at));
        let tag = tag_of(&self.state);
        keep(cookies, (Kind::Attempt, &tag), &sealed, live)
    }

    /// `Set-Cookie` that takes this attempt away: whatever comes of it, it was used.
    pub(super) fn end(&self, cookies: &Cookies<'_>) -> Option<HeaderValue> {
        cookies.delete(Kind::Attempt, &tag_of(&self.state))
    }

    fn open(seals: &Seals, sealed: &str) -> Option<Self> {
        postcard::from_bytes(&seals.open(Purpose::Attempt, sealed).ok()?).ok()
    }

    fn is_live(&self, now: i64) -> bool {
        is_within(self.started_at, ATTEMPT_SECS, now)
    }
}
