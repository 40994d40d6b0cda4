//! Where the page leads: to sign in, to help, to mend a device.

use std::borrow::Cow;

use portcullis_config::settings::OWN_PATHS;
use portcullis_policy::decision::{ReasonCode, Refused};

use super::escape::{Plain, is_own_path, is_web_link, push_percent};
use super::facts::OwnSignIn;
use super::texts::{Hole, Message};
use super::view::View;
use crate::refusal::Resolution;

/// A link.
#[derive(Debug)]
pub(super) struct Action<'v> {
    pub(super) text: Cow<'v, str>,
    /// Checked, not escaped.
    pub(super) href: Cow<'v, str>,
    pub(super) is_primary: bool,
}

impl<'v> View<'v> {
    pub(super) fn actions(&self) -> Vec<Action<'v>> {
        let (texts, branding) = (self.context.texts, self.context.branding);
        let mut list = Vec::with_capacity(6);
        let mut push = |text: &'v Message, href: Cow<'v, str>, is_primary| {
            list.push(Action { text: Cow::Borrowed(text.as_str()), href, is_primary });
        };
        // A link back to the very page: an empty reference reflects nothing.
        if self.is_temporary && self.context.can_repeat {
            push(&texts.action_try_again, Cow::Borrowed(""), true);
        }
        let own = self.own_sign_in.as_ref();
        let sign_in = match own {
            Some(own) => Some(Cow::Owned(own.href(Account::Any))),
            None => self
                .sign_in_url
                .filter(|url| is_own_path(url) || (is_web_link(url) && branding.knows_sign_in(url)))
                .map(Cow::Borrowed),
        };
        if let Some(url) = sign_in {
            match self.info.resolution {
                Resolution::SignIn if self.info.code == 50058 => push(&texts.action_sign_in, url, true),
                Resolution::SignIn | Resolution::Reauthenticate => {
                    push(&texts.action_sign_in_again, url, !self.not_delivered);
                    if let (Some(own), Some(_)) = (own, self.refused) {
                        push(&texts.action_other_account, Cow::Owned(own.href(Account::Another)), false);
                    }
                }
                Resolution::ChangeContext | Resolution::Remediate | Resolution::ContactAdmin
                    if self.refused.is_some() =>
                {
                    let other = own.map(|own| Cow::Owned(own.href(Account::Another)));
                    push(&texts.action_other_account, other.unwrap_or(url), false);
                }
                Resolution::ChangeContext
                | Resolution::Remediate
                | Resolution::ContactAdmin
                | Resolution::RetryLater
                | Resolution::FixRequest => {}
            }
        }
        if own.is_some_and(|own| own.has_session) && self.refused.is_some() {
            push(&texts.action_sign_out, Cow::Owned(format!("{OWN_PATHS}/sign-out")), false);
        }
        let mendable = [ReasonCode::DeviceNotCompliant, ReasonCode::DeviceNotJoined];
        let is_mendable = |refused: Refused| mendable.iter().any(|reason| refused.reasons.contains(*reason));
        let mends = self.own.is_some()
            && !self.is_temporary
            && !self.groups_missing
            && self.refused.is_some_and(is_mendable);
        if let (true, Some(url)) = (mends, &branding.remediation_url) {
            push(&texts.action_fix_device, Cow::Borrowed(url), false);
        }
        if let Some(url) = &branding.contact_url {
            push(&texts.action_help, Cow::Borrowed(url), false);
        }
        if let Some(mail) = &branding.contact_mail {
            let subject = match self.info.code {
                0 => format!("Access refused, request {}", self.request_id),
                code => format!("Access refused, code {code}, request {}", self.request_id),
            };
            let mut text = String::with_capacity(64);
            texts.action_mail.write(&mut Plain(&mut text), &[(Hole::Address, &mail.address)]);
            let href = Cow::Owned(mail.href(&subject));
            list.push(Action { text: Cow::Owned(text), href, is_primary: false });
        }
        list
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
