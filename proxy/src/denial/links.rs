//! Where the page leads: to sign in, to help, to mend a device.

use std::borrow::Cow;

use portcullis_policy::decision::{ReasonCode, Refused};

use super::escape::{Plain, is_own_path, is_web_link};
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
        let mut list = Vec::with_capacity(5);
        let mut push = |text: &'v Message, href: Cow<'v, str>, is_primary| {
            list.push(Action { text: Cow::Borrowed(text.as_str()), href, is_primary });
        };
        // A link back to the very page: an empty reference reflects nothing.
        if self.is_temporary && self.context.can_repeat {
            push(&texts.action_try_again, Cow::Borrowed(""), true);
        }
        let sign_in = self
            .sign_in_url
            .filter(|url| is_own_path(url) || (is_web_link(url) && branding.knows_sign_in(url)))
            .map(Cow::Borrowed);
        if let Some(url) = sign_in {
            match self.info.resolution {
                Resolution::SignIn if self.info.code == 50058 => push(&texts.action_sign_in, url, true),
                Resolution::SignIn | Resolution::Reauthenticate => {
                    push(&texts.action_sign_in_again, url, true);
                }
                Resolution::ChangeContext | Resolution::Remediate | Resolution::ContactAdmin
                    if self.refused.is_some() =>
                {
                    push(&texts.action_other_account, url, false);
                }
                Resolution::ChangeContext
                | Resolution::Remediate
                | Resolution::ContactAdmin
                | Resolution::RetryLater
                | Resolution::FixRequest => {}
            }
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
