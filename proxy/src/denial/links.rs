//! Where the page leads: to sign in, to help, to mend a device.

use std::borrow::Cow;

use portcullis_config::settings::OWN_PATHS;

use super::escape::{is_own_path, is_web_link, push_percent};
use super::facts::{DeviceState, OwnSignIn};
use super::step::Step;
use super::view::View;
use crate::refusal::Resolution;

/// A link.
#[derive(Debug)]
pub(super) struct Action<'v> {
    pub(super) text: &'static str,
    /// Checked, not escaped.
    pub(super) href: Cow<'v, str>,
    /// Whether the address is written out where the page is printed.
    pub(super) is_shown: bool,
}

impl View<'_> {
    /// A link to sign in, where one ends this refusal.
    pub(super) fn sign_in_action(&self) -> Option<Action<'_>> {
        let texts = self.context.texts;
        let text = match self.info.resolution {
            Resolution::SignIn if self.info.code == 50058 => &texts.action_sign_in,
            Resolution::SignIn | Resolution::Reauthenticate => &texts.action_sign_in_again,
            Resolution::ChangeContext
            | Resolution::Remediate
            | Resolution::ContactAdmin
            | Resolution::RetryLater
            | Resolution::FixRequest => return None,
        };
        Some(Action { text: text.as_str(), href: self.sign_in_href()?, is_shown: false })
    }

    fn sign_in_href(&self) -> Option<Cow<'_, str>> {
        if let Some(own) = &self.own_sign_in {
            return Some(Cow::Owned(own.href(Account::Any)));
        }
        let branding = self.context.branding;
        self.sign_in_url
            .filter(|url| is_own_path(url) || (is_web_link(url) && branding.knows_sign_in(url)))
            .map(Cow::Borrowed)
    }

    /// Whether the page has a link to sign in.
    pub(super) fn leads_to_sign_in(&self) -> bool {
        self.sign_in_action().is_some()
    }

    /// What a step is begun with.
    pub(super) fn step_action(&self, step: Step) -> Option<Action<'_>> {
        let (texts, own) = (self.context.texts, self.own?);
        if step.is_sign_in() {
            let text = texts.action_sign_in_again.as_str();
            return Some(Action { text, href: self.sign_in_href()?, is_shown: false });
        }
        let has_passed =
            matches!(own.device, DeviceState::Compliant { .. } | DeviceState::HybridJoined { .. });
        let url = self.context.branding.remediation_url.as_deref()?;
        let text = texts.action_fix_device.as_str();
        (step.is_device() && !has_passed).then_some(Action { text, href: Cow::Borrowed(url), is_shown: true })
    }

    /// A way to whoever can go on.
    pub(super) fn help_desk_action(&self) -> Option<Action<'_>> {
        let (texts, branding) = (self.context.texts, self.context.branding);
        let href = match (&branding.contact_url, &branding.contact_mail) {
            (Some(url), _) => Cow::Borrowed(url.as_str()),
            (None, Some(mail)) => Cow::Owned(mail.href(&self.reference)),
            (None, None) => return None,
        };
        Some(Action { text: texts.action_help_desk.as_str(), href, is_shown: false })
    }

    /// A link to sign in with another account, for whoever is refused with this one.
    pub(super) fn other_account(&self) -> Option<Cow<'_, str>> {
        self.refused?;
        match &self.own_sign_in {
            Some(own) => Some(Cow::Owned(own.href(Account::Another))),
            None => self.sign_in_href(),
        }
    }
}

/// Whose account a new sign-in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    Any,
    Another,
}

/// The longest target that a link leads back to, in bytes: pages stay small.
const RETURN_BYTES_MAX: usize = 256;

impl OwnSignIn<'_> {
    /// A link that signs in anew. What the policies ask of it is worked out when the browser is back, never read of a link.
    fn href(&self, account: Account) -> String {
        let mut href = format!("{OWN_PATHS}/sign-in");
        let target = self.return_to.and_then(|target| std::str::from_utf8(target).ok());
        if let Some(target) = target.filter(|target| target.len() <= RETURN_BYTES_MAX) {
            href.push_str("?return=");
            push_percent(&mut href, target, b"/");
        }
        if account == Account::Another {
            href.push(if href.contains('?') { '&' } else { '?' });
            href.push_str("prompt=select_account");
        }
        href
    }
}

/// An address as people write it down: without scheme, query and percent-escapes.
pub(crate) fn written(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    // What is escaped cannot be typed; its host can.
    let rest = if rest.contains('%') { rest.split('/').next().unwrap_or(rest) } else { rest };
    rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest)
}
