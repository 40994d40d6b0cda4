//! How a sign-in begins: by a navigation to an app, or by a link of ours. Of a link nothing counts but where to return to, which
//! provider of the app it is, and whether the user wants another account.

use portcullis_config::settings::App;
use portcullis_policy::signals::AppIndex;

use super::answer::{Failure, Lines, fail};
use super::attempt::{Asked, Goal};
use super::authorization::{self, Beginning};
use super::chooser::{self, link};
use super::context::SignIn;
use super::parameters::Parameters;
use super::target::{ReturnTarget, front_page, origin, read_target};
use super::{hand_over, turns};
use crate::denial::Answer;
use crate::own::{Demand, Navigation};
use crate::pages::OwnPage;
use crate::refusal::SignInFault;

/// A navigation to an app that needs a sign-in first.
pub(super) async fn of_navigation(it: SignIn<'_>, app: AppIndex, demand: &Demand) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let Some(settings) = it.app(app) else {
        return fail(ctx, request, None, SignInFault::Internal.into());
    };
    let target = target_of(it, app, settings);
    let providers = chooser::providers_of(ctx, settings);
    let Some(provider) = chooser::settled(it, &providers) else {
        return chooser::ask(it, (settings, &providers), &target);
    };
    let asked = Asked::of(demand);
    let turns = turns::Turns::of(&it.cookies, it.seals, request.now());
    if turns.is_loop(turns::what(&settings.id, &asked)) {
        provider.metrics().loop_broken();
        // Our short cookies come back, so it is not that the browser keeps none.
        let fault = SignInFault::SessionNotKept;
        let retry = link(&target, None);
        let shown = OwnPage::LoopBroken { provider: provider.settings().display_name.clone(), fault, retry };
        return fail(ctx, request, Some(provider), Failure { page: Some(shown), ..fault.into() });
    }
    begin(it, Beginning { app: settings, provider, asked, target }, Lines::new()).await
}

/// A link of ours.
pub(super) async fn of_link(it: SignIn<'_>) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let refuse = |detail: &str| {
        let detail = detail.to_owned();
        fail(ctx, request, None, Failure { detail, ..SignInFault::MalformedLink.into() })
    };
    if request.navigation != Navigation::Page {
        return refuse("it is not a page that a person opens");
    }
    let Some(parameters) = Parameters::read(&request.target) else {
        return refuse("a parameter is doubled");
    };
    if let Some(sealed) = parameters.get("request") {
        return hand_over::begin_here(it, sealed).await;
    }
    let found = match parameters.get("return") {
        Some(text) => read_target(ctx.snapshot, &request.host, text),
        None => front_page(ctx.snapshot, &request.host),
    };
    let Some(ReturnTarget { app, text: target }) = found else {
        return refuse("it leads to no app of this host");
    };
    let Some(app) = it.app(app).filter(|app| !app.sign_in.is_empty()) else {
        return refuse("the app has no sign-in");
    };
    let providers = chooser::providers_of(ctx, app);
    let (provider, lines) = match parameters.get("provider") {
        None if parameters.has("choose") => return chooser::ask(it, (app, &providers), &target),
        None => (chooser::settled(it, &providers), Lines::new()),
        Some(name) => match providers.iter().find(|provider| provider.name() == name) {
            Some(provider) => (Some(*provider), chooser::remember(it, providers.len(), provider)),
            None => return refuse("the app has no such provider"),
        },
    };
    let Some(provider) = provider else {
        return chooser::ask(it, (app, &providers), &target);
    };
    let wants_other = parameters.get("prompt") == Some("select_account");
    let asked = Asked { prompt: wants_other.then(|| "select_account".to_owned()), ..Asked::default() };
    begin(it, Beginning { app, provider, asked, target }, lines).await
}

/// Begins: at this host, or at the one for signing in.
async fn begin(it: SignIn<'_>, beginning: Beginning<'_>, lines: Lines) -> Answer {
    let elsewhere = it.ctx.snapshot.config.sign_in_host.as_deref().filter(|host| *host != it.request.host);
    match elsewhere {
        Some(host) => hand_over::begin_there(it, beginning, host, lines),
        None => {
            let Beginning { app, provider, asked, target } = beginning;
            let goal = Goal {
                app: app.id.clone(),
                origin: origin(it.request.site, &it.request.host),
                target,
                hand_over: None,
            };
            let keeps_fragment = app.keep_fragment;
            authorization::send(it, provider, asked, goal, keeps_fragment, lines).await
        }
    }
}

/// Where the user wanted to go, as far as it can be remembered.
fn target_of(it: SignIn<'_>, app: AppIndex, settings: &App) -> String {
    let (snapshot, host) = (it.ctx.snapshot, it.request.host.as_str());
    let texts = [it.request.target.as_str(), it.request.path(), settings.path_prefix.as_str()];
    let leads = |text: &&str| read_target(snapshot, host, text).is_some_and(|found| found.app == app);
    texts.into_iter().find(leads).unwrap_or("/").to_owned()
}
