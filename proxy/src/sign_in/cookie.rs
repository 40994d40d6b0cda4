//! The short-lived cookies of signing in: named as the session's, so that no page can plant one, none reaches an app, and
//! script reads none.

use std::time::Duration;

use http::HeaderValue;

use crate::own::OwnRequest;
use crate::session::CookieForm;

/// How much of its cookies a request may make us read here, in cookies.
const READ_MAX: usize = 16;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One attempt; the name goes on with the attempt's tag.
    Attempt,
    /// A hand-over that is waited for; the name goes on with its tag.
    HandOver,
    /// How often sign-ins were followed by the next.
    Turns,
    /// The provider that was chosen last.
    Choice,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Attempt => "attempt-",
            Self::HandOver => "hand-over-",
            Self::Turns => "turns",
            Self::Choice => "provider",
        }
    }
}

/// The cookies of one request, and how answers to it name them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies<'r> {
    form: CookieForm,
    received: &'r [(String, String)],
}

impl<'r> Cookies<'r> {
    /// Those of a request; `None` where a cookie would cross a network in the clear.
    pub(super) fn of(request: &'r OwnRequest) -> Option<Self> {
        Some(Self::new(CookieForm::of(request.site, &request.host)?, &request.cookies))
    }

    const fn new(form: CookieForm, received: &'r [(String, String)]) -> Self {
        Self { form, received }
    }

    pub(super) const fn form(&self) -> CookieForm {
        self.form
    }

    /// Whether the browser sent any cookie of ours.
    pub(super) const fn are_any(&self) -> bool {
        !self.received.is_empty()
    }

    fn name(&self, kind: Kind, tag: &str) -> String {
        self.form.name(&[kind.word(), tag].concat())
    }

    /// The value of this cookie, unless it was sent twice: then somebody planted one of them.
    pub(super) fn get(&self, kind: Kind, tag: &str) -> Option<&'r str> {
        let name = self.name(kind, tag);
        let mut values = self.received.iter().filter(|(known, _)| *known == name);
        let (value, second) = (values.next()?, values.next());
        second.is_none().then_some(value.1.as_str())
    }

    /// Tag and value of each cookie of this kind; of a flood of them the first.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = (&'r str, &'r str)> {
        let begin = self.name(kind, "");
        let ours = self
            .received
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(begin.as_str())?, value.as_str())));
        ours.take(READ_MAX)
    }

    /// `Set-Cookie` that keeps a value for so many seconds. The value is base64url or a configured name.
    pub(super) fn set(&self, kind: Kind, tag: &str, value: &str, secs: i64) -> Option<HeaderValue> {
        let life = Duration::from_secs(secs.unsigned_abs());
        self.form.set(&self.name(kind, tag), value, Some(life))
    }

    /// `Set-Cookie` that takes a cookie away.
    pub(super) fn delete(&self, kind: Kind, tag: &str) -> Option<HeaderValue> {
        self.form.remove(&self.name(kind, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_was_sent_twice_is_none() {
        let pair = |value: &str| ("__Host-Http-portcullis-turns".to_owned(), value.to_owned());
        let (once, twice) = ([pair("1")], [pair("1"), pair("2")]);
        assert_eq!(Cookies::new(CookieForm::Secure, &once).get(Kind::Turns, ""), Some("1"));
        assert_eq!(Cookies::new(CookieForm::Secure, &twice).get(Kind::Turns, ""), None);
        assert_eq!(Cookies::new(CookieForm::Loopback, &once).get(Kind::Turns, ""), None, "of another form");
    }
}
