//! What a help desk is told of a page, and nothing that names the user where nobody is signed in.

use std::borrow::Cow;

use crate::clock;
use crate::denial::branding::Branding;
use crate::denial::details::Row;
use crate::denial::escape::{Escaper, Hole, Plain, cap, one_line};
use crate::denial::texts::{Texts, label};
use crate::reference::Reference;

use super::content::{Body, Content};
use super::page::{MePage, PageRequest};

/// The facts of a page.
#[derive(Debug)]
pub(super) struct Report<'p> {
    content: &'p Content<'p>,
    pub(super) branding: &'p Branding,
    pub(super) request_id: String,
    pub(super) reference: String,
    pub(super) timestamp: String,
    /// The fault's code in digits; empty where there is none.
    pub(super) code: String,
    now_unix_secs: i64,
}

impl<'p> Report<'p> {
    pub(super) fn new(content: &'p Content<'p>, branding: &'p Branding, request: PageRequest) -> Self {
        Self {
            content,
            branding,
            request_id: uuid::Uuid::from_u128(request.request_id).to_string(),
            reference: Reference::of(request.request_id).to_string(),
            timestamp: clock::timestamp(request.now_unix_ms),
            code: content.fault.map_or_else(String::new, |fault| fault.code().to_string()),
            now_unix_secs: request.now_unix_ms.div_euclid(1_000),
        }
    }

    /// What is asked for first.
    pub(super) fn first_rows(&self, texts: &'static Texts) -> Vec<Row<'_>> {
        let time = texts.locale.moment(self.now_unix_secs);
        let time = Row { datetime: Some(&self.timestamp), ..Row::new(&texts.label_time, time) };
        vec![Row::new(&texts.label_code, self.code.as_str()), time]
    }

    /// What is asked for then.
    pub(super) fn more_rows(&self, texts: &'static Texts) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self
            .content
            .fault
            .map(|fault| Row::new(&texts.label_reason, fault.as_str()))
            .into_iter()
            .collect();
        rows.push(Row::new(&texts.label_request_id, self.request_id.as_str()));
        rows.push(Row::new(&texts.label_decision_by, self.branding.installation.as_str()));
        rows
    }

    /// Who is signed in, where the page is about that.
    pub(super) fn session_rows(&self, texts: &'static Texts) -> Vec<Row<'_>> {
        let mut rows = match &self.content.body {
            Body::Me(me, _) => of_session(me, texts),
            Body::Nothing | Body::Choices(..) | Body::SignOut(_) | Body::Fragment(_) => return Vec::new(),
        };
        let time = texts.locale.moment(self.now_unix_secs);
        rows.push(Row { datetime: Some(&self.timestamp), ..Row::new(&texts.label_time, time) });
        rows.extend(self.more_rows(texts));
        rows
    }

    /// The text for a ticket, in English in every language.
    pub(super) fn ticket(&self, out: &mut impl Escaper) {
        let reason = self.content.fault.map_or("", crate::refusal::SignInFault::as_str);
        let lines = [
            (label::REFERENCE, self.reference.as_str()),
            (label::CODE, &self.code),
            (label::REASON, reason),
            (label::TIME, &self.timestamp),
            (label::REQUEST_ID, &self.request_id),
            (label::DECISION_BY, &self.branding.installation),
        ];
        let said = lines.into_iter().filter(|(_, value)| !value.is_empty());
        for (at, (name, value)) in said.enumerate() {
            if at > 0 {
                out.literal("\n");
            }
            out.literal(name);
            out.literal(": ");
            out.text(value);
        }
    }
}

fn of_session<'p>(me: &'p MePage, texts: &'static Texts) -> Vec<Row<'p>> {
    let absent = || Cow::Borrowed(texts.value_not_available.as_str());
    let moment = |at: i64| Cow::Owned(texts.locale.moment(at));
    let place = me.country.as_deref().map(|code| {
        let (mut place, country) = (String::new(), texts.locale.country(code).unwrap_or(code));
        texts.value_approximate.write(&mut Plain(&mut place), &[(Hole::Country, country)]);
        Cow::Owned(place)
    });
    let methods: Vec<&str> = me.methods.iter().map(String::as_str).collect();
    let not_shown = || Cow::Borrowed(texts.value_not_shown.as_str());
    vec![
        Row::new(&texts.label_user, one_line(&me.user, cap::USER)),
        Row::new(&texts.label_user_id, one_line(&me.user_id, cap::USER)),
        Row::new(&texts.label_app, one_line(&me.app, cap::APP_NAME)),
        Row::new(&texts.label_provider, one_line(&me.provider, cap::PROVIDER)),
        Row::new(
            &texts.label_methods,
            match methods.is_empty() {
                true => absent(),
                false => Cow::Owned(one_line(&texts.locale.list(&methods), cap::USER).into_owned()),
            },
        ),
        Row::new(&texts.label_auth_time, me.auth_time.map_or_else(absent, moment)),
        Row::new(
            &texts.label_device_id,
            me.device.id().map_or_else(not_shown, |id| one_line(id, cap::DEVICE_ID)),
        ),
        Row::new(&texts.label_device_state, me.device.words(texts)),
        Row::new(
            &texts.label_address,
            me.address.map_or_else(absent, |address| Cow::Owned(address.to_string())),
        ),
        Row::new(&texts.label_location, place.unwrap_or_else(absent)),
        Row::new(&texts.label_idle_until, moment(me.idle_until)),
        Row::new(&texts.label_until, moment(me.until)),
    ]
}
