//! Where a browser goes to sign out at the provider too (OpenID Connect RP-Initiated Logout 1.0, section 2).

use reqwest::Url;

use crate::provider::Provider;
use crate::session::Session;

/// The longest ID token that goes into an address, in bytes: servers refuse addresses of more than 8 KiB.
const HINT_BYTES_MAX: usize = 4 * 1024;

/// Where the browser comes back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ComesBack<'r> {
    /// Registered at the provider.
    pub(super) to: &'r str,
    /// What it brings.
    pub(super) state: &'r str,
}

/// The address at the provider that ends the session there; `None` where the provider names none, or its metadata were
/// not fetched yet: a sign-out here waits for nobody.
pub(super) fn address(provider: &Provider, session: &Session, back: ComesBack<'_>) -> Option<Url> {
    let mut url = provider.metadata()?.end_session_endpoint.clone()?;
    let id_token = session.record().tokens.as_ref().map(|tokens| tokens.id_token.0.as_str());
    let mut query = url.query_pairs_mut();
    match id_token.filter(|token| !token.is_empty() && token.len() <= HINT_BYTES_MAX) {
        Some(token) => query.append_pair("id_token_hint", token),
        // Without the token the provider asks; with a name it need not ask for whom.
        None => query.append_pair("logout_hint", user(session)),
    };
    query.append_pair("client_id", &provider.settings().client_id);
    query.append_pair("post_logout_redirect_uri", back.to);
    query.append_pair("state", back.state);
    drop(query);
    Some(url)
}

/// The user as the provider's sign-in page knows them.
fn user(session: &Session) -> &str {
    session.caller().token().user_name().unwrap_or(&session.record().sub)
}

/// The address alone, for the policy of the form that leads there.
pub(in crate::sign_in) fn origin_of(provider: &Provider) -> Option<String> {
    Some(provider.metadata()?.end_session_endpoint.as_ref()?.to_string())
}
