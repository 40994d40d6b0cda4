//! Which provider signs in, where an app has several: the one that the link names, the one that was chosen last, or what the
//! page asks for.

use portcullis_config::settings::App;

use super::answer::{Lines, page};
use super::context::{SignIn, SignInContext};
use super::cookie::Kind;
use super::parameters::query;
use crate::denial::Answer;
use crate::pages::{Choice, OwnPage};
use crate::provider::Provider;

/// How long a choice is remembered, in seconds: 180 days.
const CHOICE_SECS: i64 = 180 * 24 * 60 * 60;
/// The path on which a sign-in begins.
pub(super) const SIGN_IN: &str = "/.portcullis/sign-in";

/// The providers of an app, in the order of its configuration.
pub(super) fn providers_of<'s>(ctx: SignInContext<'s>, app: &App) -> Vec<&'s Provider> {
    app.sign_in.iter().filter_map(|at| Some(&**ctx.snapshot.providers.get(*at)?)).collect()
}

/// The provider that signs in to an app without a question: the only one, or the one that was chosen last.
pub(super) fn settled<'s>(it: SignIn<'_>, providers: &[&'s Provider]) -> Option<&'s Provider> {
    if let [only] = providers {
        return Some(only);
    }
    let chosen = it.cookies.get(Kind::Choice, "")?;
    providers.iter().find(|provider| provider.name() == chosen).copied()
}

/// The line that remembers a choice, where there was one.
pub(super) fn remember(it: SignIn<'_>, providers: usize, provider: &Provider) -> Lines {
    let is_new = providers > 1 && it.cookies.get(Kind::Choice, "") != Some(provider.name());
    let line = is_new.then(|| it.cookies.set(Kind::Choice, "", provider.name(), CHOICE_SECS));
    line.flatten().into_iter().collect()
}

/// The line that forgets it.
pub(super) fn forget(it: SignIn<'_>) -> Lines {
    let known = it.cookies.get(Kind::Choice, "");
    known.and_then(|_| it.cookies.delete(Kind::Choice, "")).into_iter().collect()
}

/// Asks the user; what was chosen last comes first.
pub(super) fn ask(it: SignIn<'_>, (app, providers): (&App, &[&Provider]), target: &str) -> Answer {
    let last = it.cookies.get(Kind::Choice, "");
    let mut providers = providers.to_vec();
    providers.sort_by_key(|provider| Some(provider.name()) != last);
    let choices = providers.iter().map(|provider| Choice {
        name: provider.settings().display_name.clone(),
        href: link(target, Some(provider.name())),
    });
    let shown = OwnPage::Chooser { choices: choices.collect(), keeps_fragment: app.keep_fragment };
    page(it.ctx, it.request, &shown, Lines::new())
}

/// A link of this host that begins a sign-in.
pub(super) fn link(target: &str, provider: Option<&str>) -> String {
    let parameters = [("provider", provider), ("return", Some(target))];
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    format!("{SIGN_IN}?{}", query(given))
}
