//! Who is signed in, how and for how long: for the user, for a page that wants to say so, and for the help desk that
//! asks "what does it say there?".

use portcullis_config::settings::OWN_PATHS;
use portcullis_policy::signals::Fact;

use super::SignInContext;
use super::answer::{Lines, page, refuse};
use super::chooser::link;
use super::logout::end_session_origin;
use super::target::front_page;
use crate::denial::{Answer, DeviceState};
use crate::own::{Navigation, OwnRequest};
use crate::pages::{MeDevice, MePage, OwnPage};
use crate::refusal::Refusal;
use crate::session::Session;

/// `me`: a page, or JSON for programs.
pub(super) fn me(ctx: SignInContext<'_>, request: &OwnRequest) -> Answer {
    match request.session.as_deref().and_then(|session| shown(ctx, request, session)) {
        Some(shown) => page(ctx, request, &OwnPage::Me(Box::new(shown)), Lines::new()),
        None => match (request.navigation, front_page(ctx.snapshot, &request.host)) {
            (Navigation::Page, Some(front)) => {
                let page_of = OwnPage::NotSignedIn { sign_in: link(&front.text, None) };
                page(ctx, request, &page_of, Lines::new())
            }
            _ => refuse(ctx, request, Refusal::NoToken),
        },
    }
}

fn shown(ctx: SignInContext<'_>, request: &OwnRequest, session: &Session) -> Option<MePage> {
    let snapshot = ctx.snapshot;
    let settings = snapshot.config.session.as_ref()?;
    let (record, token) = (session.record(), session.caller().token());
    let provider = snapshot.providers.iter().find(|provider| provider.name() == record.provider);
    let app = request.app.and_then(|app| snapshot.config.apps.get(app.0 as usize));
    let country = request.client.map_or(Fact::Unknown, |address| snapshot.geo.country(address));
    let secs = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let until = record.ends_at.min(record.created_at.saturating_add(secs(settings.absolute)));
    let sign_in = format!("{OWN_PATHS}/sign-in?return=%2F&prompt=select_account");
    Some(MePage {
        user: token.user_name().unwrap_or(&record.sub).to_owned(),
        user_id: token.principal().id.to_string(),
        app: app.map_or_else(|| request.host.clone(), |app| app.name.clone()),
        provider: provider
            .map_or_else(|| record.provider.clone(), |known| known.settings().display_name.clone()),
        methods: token.principal().standing.sign_in.methods.clone(),
        auth_time: token.principal().auth_time,
        device: MeDevice::of(&DeviceState::of(token.device().as_ref())),
        address: request.client,
        country: country.known().map(|country| country.as_str().to_owned()),
        idle_until: session.seen_at().saturating_add(secs(settings.idle)).min(until),
        until,
        sign_out: format!("{OWN_PATHS}/sign-out"),
        leads_to: provider.and_then(|provider| end_session_origin(provider)),
        other_account: Some(sign_in),
    })
}
