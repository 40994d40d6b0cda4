//! What a help desk is told of a page: labels in English in every language, and nothing that names the user where
//! nobody is signed in.

use std::borrow::Cow;

use crate::clock;
use crate::denial::branding::Branding;
use crate::denial::escape::{Plain, cap, one_line};
use crate::denial::texts::{Hole, Texts, label};

use super::content::{Body, Content};
use super::page::{MePage, PageRequest};

/// The lines of a page.
#[derive(Debug)]
pub(super) struct Report<'p> {
    content: &'p Content<'p>,
    branding: &'p Branding,
    pub(super) request_id: String,
    pub(super) timestamp: String,
}

impl<'p> Report<'p> {
    pub(super) fn new(content: &'p Content<'p>, branding: &'p Branding, request: PageRequest) -> Self {
        Self {
            content,
            branding,
            request_id: uuid::Uuid::from_u128(request.request_id).to_string(),
            timestamp: clock::timestamp(request.now_unix_ms),
        }
    }

    /// Label and value of each line.
    pub(super) fn lines(&self, mut line: impl FnMut(&str, &str)) {
        if let Body::Me(me, _) = &self.content.body {
            of_session(me, &mut line);
        }
        if let Some(fault) = self.content.fault {
            line(label::CODE, &fault.code().to_string());
            line(label::REASON, fault.as_str());
        }
        line(label::REQUEST_ID, &self.request_id);
        line(label::TIMESTAMP, &self.timestamp);
        line(label::DECISION_BY, &self.branding.installation);
    }

    /// Text and address of each link to the help desk.
    pub(super) fn help(&self, texts: &'static Texts) -> Vec<(String, String)> {
        let mut links = Vec::new();
        if let Some(url) = &self.branding.contact_url {
            links.push((texts.action_help.as_str().to_owned(), url.clone()));
        }
        if let Some(mail) = &self.branding.contact_mail {
            let code = self.content.fault.map_or(0, crate::refusal::SignInFault::code);
            let subject = format!("Sign-in failed, code {code}, request {}", self.request_id);
            let mut text = String::with_capacity(64);
            texts.action_mail.write(&mut Plain(&mut text), &[(Hole::Address, &mail.address)]);
            links.push((text, mail.href(&subject)));
        }
        links
    }
}

fn of_session(me: &MePage, line: &mut impl FnMut(&str, &str)) {
    let absent = || Cow::Borrowed(label::NOT_AVAILABLE);
    line(label::USER, &one_line(&me.user, cap::USER));
    line(label::USER_ID, &one_line(&me.user_id, cap::USER));
    line(label::APP_NAME, &one_line(&me.app, cap::APP_NAME));
    line(label::PROVIDER, &one_line(&me.provider, cap::PROVIDER));
    line(label::METHODS, &one_line(&me.methods.join(", "), cap::USER));
    line(label::AUTH_TIME, &me.auth_time.map_or_else(absent, |at| Cow::Owned(clock::minute(at))));
    line(label::DEVICE_ID, &me.device.id().map_or_else(absent, |id| one_line(id, cap::DEVICE_ID)));
    line(label::DEVICE_STATE, me.device.state());
    line(label::ADDRESS, &me.address.map_or_else(absent, |address| Cow::Owned(address.to_string())));
    let place = me.country.as_deref().map(|country| Cow::Owned(format!("{country} (approximate)")));
    line(label::LOCATION, &place.unwrap_or_else(absent));
    line(label::IDLE_UNTIL, &clock::minute(me.idle_until));
    line(label::UNTIL, &clock::minute(me.until));
}
