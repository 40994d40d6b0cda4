//! What of a request says which server it belongs to: a key of its own, or a cookie of ours.
//!
//! The cookie tells a browser nothing: it is sealed, and of one length. Sealed within is the address that served last,
//! as a number, and when the cookie was made; what was altered, made for another app, or is over, is as no cookie.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use portcullis_config::settings::{self, Balance, HashKey};

use super::hashing::Key;
use crate::admit::cookies;
use crate::seal::{Purpose, Seals};
use crate::session::CookieForm;
use crate::token::CachedPrincipal;
use crate::upstream::endpoint::Endpoint;

/// The longest cookie that is opened, in bytes: ours are shorter.
const COOKIE_BYTES_MAX: usize = 128;

/// Which server a request belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// None more than another.
    #[default]
    None,
    /// The one that this falls to.
    Key(Key),
    /// The one at this address, as a cookie says that was made then (in Unix seconds).
    Server {
        /// The address.
        address: Key,
        /// When the cookie was made.
        made: i64,
    },
}

/// Who asks, and what with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) caller: Option<&'r CachedPrincipal>,
    pub(crate) client: Option<IpAddr>,
    /// How cookies are set on the host, if at all.
    pub(crate) form: Option<CookieForm>,
    pub(crate) seals: &'r Seals,
    /// In Unix seconds.
    pub(crate) now: i64,
}

impl Affinity {
    /// Which server of an app a request belongs to. `sticky` is the app's, if it has one.
    pub(in crate::upstream) fn of(balance: &Balance, sticky: Option<&Sticky>, asking: Asking<'_>) -> Self {
        match balance {
            Balance::RoundRobin | Balance::LeastRequests => Self::None,
            Balance::ConsistentHash(by) => key(by, asking).map_or(Self::None, Self::Key),
            Balance::Sticky { .. } => sticky.and_then(|sticky| sticky.read(asking)).unwrap_or_default(),
        }
    }
}

fn key(by: &HashKey, asking: Asking<'_>) -> Option<Key> {
    match by {
        HashKey::Principal => {
            Some(Key::of(&[b"principal", asking.caller?.token().principal().id.as_bytes()]))
        }
        HashKey::Address => asking.client.map(|client| Key::of(&[b"address", client.to_string().as_bytes()])),
        HashKey::Cookie(name) => {
            let cookie = cookies(asking.headers).find(|cookie| cookie.name == name.as_bytes())?;
            Some(Key::of(&[b"cookie", cookie.value?]))
        }
        HashKey::Header(name) => {
            asking.headers.get(name).map(|value| Key::of(&[b"header", value.as_bytes()]))
        }
    }
}

/// The cookie that names the server of an app to a browser.
#[derive(Debug)]
pub(crate) struct Sticky {
    app: Box<str>,
    /// The names of the cookie, by form: several apps may share a host.
    secure: Box<str>,
    loopback: Box<str>,
    life: Option<Duration>,
}

impl Sticky {
    /// The cookie of an app, if it has one.
    pub(in crate::upstream) fn of(app: &settings::App) -> Option<Self> {
        let Balance::Sticky { life } = app.balance else { return None };
        let [a, b, c, d, ..] = Key::of(&[b"sticky", app.id.as_bytes()]).to_bytes();
        let suffix = format!("server-{a:02x}{b:02x}{c:02x}{d:02x}");
        Some(Self {
            app: app.id.as_str().into(),
            secure: CookieForm::Secure.name(&suffix).into(),
            loopback: CookieForm::Loopback.name(&suffix).into(),
            life,
        })
    }

    fn name(&self, form: CookieForm) -> &str {
        match form {
            CookieForm::Secure => &self.secure,
            CookieForm::Loopback => &self.loopback,
        }
    }

    /// What the cookie of a request says, if it has a good one.
    fn read(&self, asking: Asking<'_>) -> Option<Affinity> {
        let name = self.name(asking.form?);
        let mut named = cookies(asking.headers).filter(|cookie| cookie.name == name.as_bytes());
        let value = named.next()?.value.filter(|value| value.len() <= COOKIE_BYTES_MAX)?;
        let opened = asking.seals.open(Purpose::Server, std::str::from_utf8(value).ok()?).ok()?;
        let (address, made) = opened.split_first_chunk::<8>()?;
        let (address, made) = (Key::from_bytes(*address), i64::from_be_bytes(made.try_into().ok()?));
        let is_over = self.life.is_some_and(|life| asking.now.saturating_sub(made) > seconds(life));
        (!is_over).then_some(Affinity::Server { address, made })
    }

    /// The cookie of an answer that this address gave. `None` where the browser has it already, and it is not half over.
    pub(in crate::upstream) fn renewed(
        &self,
        endpoint: &Endpoint,
        affinity: Affinity,
        (form, seals, now): (CookieForm, &Seals, i64),
    ) -> Option<HeaderValue> {
        let served = Key::of_address(&self.app, endpoint);
        if let Affinity::Server { address, made } = affinity
            && address == served
            && self.life.is_none_or(|life| now.saturating_sub(made) <= seconds(life) / 2)
        {
            return None;
        }
        let mut plain = served.to_bytes().to_vec();
        plain.extend_from_slice(&now.to_be_bytes());
        let sealed = seals.seal(Purpose::Server, &plain)?;
        form.set(self.name(form), &sealed, self.life)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
