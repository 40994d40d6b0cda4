//! Answers that belong to nothing that this browser has: links that were used, are too old, or are somebody else's.

use super::answer::{Failure, Lines, fail, redirect};
use super::chooser::link;
use super::context::SignIn;
use super::target::front_page;
use crate::denial::Answer;
use crate::pages::OwnPage;
use crate::refusal::SignInFault;

/// What to do with an answer for which this browser has no attempt. It may have been used a moment ago, in this tab or by the
/// back button: whoever is signed in goes on. `is_recent`: somebody began it a short while ago.
pub(super) fn without_attempt(it: SignIn<'_>, is_recent: bool) -> Answer {
    let SignIn { ctx, request, cookies, .. } = it;
    let front = front_page(ctx.snapshot, &request.host);
    if let (Some(_), Some(front)) = (&request.session, &front) {
        return redirect(ctx, request, &front.text, Lines::new());
    }
    let retry = front.map_or_else(String::new, |front| link(&front.text, None));
    // A browser that came from here a short while ago, and brings nothing of what it was given.
    let (fault, page) = if is_recent && !cookies.are_any() {
        (SignInFault::CookiesBlocked, OwnPage::CookiesBlocked { retry })
    } else {
        (SignInFault::StaleLink, OwnPage::StaleLink { retry })
    };
    fail(ctx, request, None, Failure { page: Some(page), ..fault.into() })
}
