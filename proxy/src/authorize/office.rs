//! Microsoft Office signs in by a dialog of its own: a request that could be signed in for is answered with where the dialog
//! begins and where it has arrived ([MS-OFBA], sections 2.2 and 3.1). Only where the app says that Office opens its documents, and
//! only where it signs people in by us.

use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use portcullis_config::settings::{App, OWN_PATHS};

use crate::admit::{Head, Site};
use crate::denial::Answer;

/// The names of the protocol. Their underscores are why the first never reaches an app.
const ACCEPTED: HeaderName = HeaderName::from_static("x-forms_based_auth_accepted");
const REQUIRED: HeaderName = HeaderName::from_static("x-forms_based_auth_required");
const RETURN_URL: HeaderName = HeaderName::from_static("x-forms_based_auth_return_url");
const DIALOG_SIZE: HeaderName = HeaderName::from_static("x-forms_based_auth_dialog_size");

/// What programs that know the protocol call themselves, where they do not say that they do.
const AGENTS: [&[u8]; 4] = [
    b"microsoft office",
    b"microsoft-webdav-miniredir",
    b"microsoft data access internet publishing provider",
    b"msfrontpage",
];

/// Makes the dialog's answer of a challenge.
pub(super) fn offer_dialog(answer: &mut Answer, app: &App, (site, host): (Site, &str), head: &Head<'_>) {
    if answer.status != 401 || !app.office || app.sign_in.is_empty() || !speaks_it(head) {
        return;
    }
    let port = site.written_port().map_or_else(String::new, |port| format!(":{port}"));
    let origin = format!("{}://{host}{port}", site.scheme.as_str());
    let back = &app.path_prefix;
    let begins = format!("{origin}{OWN_PATHS}/sign-in?return={}", form_urlencoded(back));
    let (Ok(begins), Ok(arrived)) =
        (HeaderValue::try_from(begins), HeaderValue::try_from(format!("{origin}{back}")))
    else {
        return;
    };
    answer.status = 403;
    // Office would ask for a password of its own.
    answer.headers.remove(WWW_AUTHENTICATE);
    answer.headers.insert(REQUIRED, begins);
    answer.headers.insert(RETURN_URL, arrived);
    answer.headers.insert(DIALOG_SIZE, const { HeaderValue::from_static("800x600") });
}

fn form_urlencoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

fn speaks_it(head: &Head<'_>) -> bool {
    if let Some(said) = head.hint(&ACCEPTED) {
        return said.trim().eq_ignore_ascii_case("t");
    }
    let Some(agent) = head.hint_bytes(&http::header::USER_AGENT) else { return false };
    AGENTS.iter().any(|name| agent.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name)))
        && matches!(head.method.as_str(), "OPTIONS" | "PROPFIND" | "HEAD" | "GET")
}
