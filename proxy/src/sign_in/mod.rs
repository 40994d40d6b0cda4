//! Signing in with an OpenID provider, and everything else that we answer ourselves below `/.portcullis/`: the relying party.
//!
//! `start` begins, `authorization` sends a browser to a provider, `callback` takes it back, `complete` opens its session, and
//! `hand_over` does all that for an app at the sign-in host. `lost` is for answers that belong to nothing. `logout` ends
//! sessions, `refresh` keeps their tokens fresh, `me` says who is signed in. What a provider is asked is in `provider`, how an
//! ID token is verified in `token`, and what a session is in `session`.

mod answer;
mod attempt;
mod authorization;
mod callback;
mod chooser;
mod complete;
mod context;
mod cookie;
mod hand_over;
mod keys;
mod logout;
mod lost;
mod me;
mod parameters;
pub(crate) mod refresh;
mod start;
mod target;
mod turns;

use bytes::Bytes;

pub use context::SignInContext;

use answer::Failure;
use context::SignIn;

use crate::denial::Answer;
use crate::own::{Own, OwnPath, OwnRequest};
use crate::pages::OwnPage;
use crate::refusal::SignInFault;

/// Answers a request of our own; `body` is what it carried, where its path takes one.
pub(crate) async fn answer(ctx: SignInContext<'_>, request: &OwnRequest, body: Bytes) -> Answer {
    // What needs no cookie of ours to be answered.
    match &request.what {
        Own::Path(OwnPath::SignOut) => return logout::sign_out(ctx, request).await,
        Own::Path(OwnPath::SignedOut) => return logout::signed_out(ctx, request),
        Own::Path(OwnPath::BackChannelLogout) => return logout::back_channel(ctx, request, &body).await,
        Own::Path(OwnPath::FrontChannelLogout) => return logout::front_channel(ctx, request).await,
        Own::Path(OwnPath::Me) => return me::me(ctx, request),
        Own::Path(OwnPath::Keys) => return keys::keys(ctx),
        // Answered where requests are judged; here nobody comes with it.
        Own::Path(OwnPath::Probe | OwnPath::Refusal) => {
            return answer::fail(ctx, request, None, Failure::of(SignInFault::Internal));
        }
        Own::Path(OwnPath::SignIn | OwnPath::Callback(_) | OwnPath::HandOver)
        | Own::SignIn { .. }
        | Own::FormNotSent { .. } => {}
    }
    let Some(it) = SignIn::of(ctx, request) else {
        let detail = "there are no sessions, or the host is reached by plain http".to_owned();
        return answer::fail(ctx, request, None, Failure { detail, ..Failure::of(SignInFault::Internal) });
    };
    match &request.what {
        Own::SignIn { app, demand, .. } => start::of_navigation(it, *app, demand).await,
        Own::FormNotSent { app } => {
            let to = it.app(*app).map_or("/", |app| app.path_prefix.as_str());
            let page = OwnPage::FormNotSent { sign_in: chooser::link(to, None) };
            answer::page(ctx, request, &page, answer::Lines::new())
        }
        Own::Path(OwnPath::SignIn) => start::of_link(it).await,
        Own::Path(OwnPath::Callback(provider)) => callback::answer(it, *provider).await,
        Own::Path(OwnPath::HandOver) => hand_over::answer(it).await,
        Own::Path(_) => answer::fail(ctx, request, None, Failure::of(SignInFault::Internal)),
    }
}
