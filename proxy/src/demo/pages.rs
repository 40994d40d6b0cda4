//! The demo's pages: the sign-in page of the provider, and the wiki that is protected.

use std::path::Path;

use super::issuer::{DEVICES, METHODS, PERSONS};
use super::places::PLACES;
use super::provider::{Asked, CLIENT_ID};

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}\
fieldset{border:1px solid #8886;border-radius:.5rem;margin:1rem 0}label{display:block;padding:.3rem 0}\
button{font:inherit;padding:.6rem 1.2rem;border-radius:.4rem;border:1px solid #8886;background:none;color:inherit}button.main{background:#0b5cad;border-color:#0b5cad;color:#fff}\
a{color:#0b5cad}@media(prefers-color-scheme:dark){a{color:#8cc1ff}}\
dt{font-weight:600}dd{margin:0 0 .5rem}nav{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:.5rem 0;border-bottom:1px solid #8886}\
iframe{width:100%;height:11rem;border:1px solid #8886;border-radius:.5rem}.asked{padding:.6rem 1rem;border-inline-start:4px solid #0b5cad}</style>";

/// Text for HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars().take(1024) {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char if char.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>{STYLE}</head><body>{body}</body></html>"
    )
}

fn choice(name: &str, title: &str, options: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let radio = |(position, (id, label)): (usize, (&str, &str))| {
        let checked = if position == 0 { " checked" } else { "" };
        format!("<label><input type=\"radio\" name=\"{name}\" value=\"{id}\"{checked}> {label}</label>")
    };
    let radios: String = options.enumerate().map(radio).collect();
    format!("<fieldset><legend>{title}</legend>{radios}</fieldset>")
}

/// The page where one picks a person, how it is proven, a device and a place.
pub(super) fn sign_in(asked: &Asked) -> String {
    let field = |(name, value): (&str, &str)| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
    };
    let fields = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", &asked.redirect_uri),
        ("response_type", "code"),
        ("scope", "openid"),
        ("code_challenge", &asked.challenge),
        ("code_challenge_method", "S256"),
        ("state", &asked.state),
        ("nonce", &asked.nonce),
    ];
    let fields: String = fields.into_iter().map(field).collect();
    let wishes: Vec<_> =
        asked.wishes.iter().map(|(name, value)| format!("<code>{name}={}</code>", escape(value))).collect();
    let wishes = if wishes.is_empty() {
        String::new()
    } else {
        format!("<p class=\"asked\">Portcullis asks this sign-in for {}.</p>", wishes.join(", "))
    };
    let body = format!(
        "<main><h1>Who are you today?</h1><p>This page plays your sign-in service: an OpenID provider. In place of a password, \
         pick what it will say of you.</p>{wishes}<form method=\"post\" action=\"/authorize\">{fields}{}{}{}{}\
         <button class=\"main\">Sign in</button> <button name=\"cancel\" value=\"yes\">Cancel</button></form></main>",
        choice("person", "Person", PERSONS.iter().map(|(id, label, _)| (*id, *label))),
        choice("method", "Proof", METHODS.iter().map(|(id, label, _)| (*id, *label))),
        choice("device", "Device", DEVICES.into_iter()),
        choice("place", "Place", PLACES.iter().map(|place| (place.id, place.label))),
    );
    page("Sign in - Portcullis demo", &body)
}

/// A page with one sentence of ours.
pub(super) fn problem(text: &str) -> String {
    page("Portcullis demo", &format!("<main><h1>Portcullis demo</h1><p>{}</p></main>", escape(text)))
}

/// What the border answers, asked of the wiki itself.
pub(super) fn past_the_border(app: &str) -> String {
    let app = escape(app);
    let body = format!(
        "<main><p>This address leads past the border of the demo, which knows places and decisions. Begin at \
         <a href=\"{app}\" target=\"_top\">{app}</a>.</p></main>"
    );
    page("Portcullis demo", &body)
}

/// A page of the wiki: who is there, why, and what the app received about the visitor. `edited`: a policy file to try
/// things out with.
pub(super) fn wiki(path: &str, received: &[(&str, String)], edited: &Path) -> String {
    let value =
        |wanted: &str| received.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
    let rows: String =
        received.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value))).collect();
    let who = escape(value("x-user-name").or_else(|| value("x-user")).unwrap_or("somebody"));
    let id =
        value("x-request-id").filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    let why = id.map(|id| format!("<iframe title=\"Policies\" src=\"/demo/decision/{id}\"></iframe>"));
    let travel: Vec<_> = PLACES
        .iter()
        .map(|place| format!("<a href=\"/demo/place/{}\">{}</a>", place.id, escape(place.label)))
        .collect();
    let body = format!(
        "<nav aria-label=\"Wiki\"><a href=\"/.portcullis/me\">What is known of me</a>\
         <a href=\"/.portcullis/sign-in?return=%2F&amp;prompt=select_account\">Sign in as somebody else</a>\
         <a href=\"/.portcullis/sign-out\">Sign out</a></nav>\
         <main><h1>Internal wiki</h1><p>You are in, {who}. This page is the app behind Portcullis; page <code>{}</code>.</p>\
         <h2>Which policies let you in</h2><p>From the decision on this very request. An app is never told; the demo reads the decision log.</p>{}\
         <h2>Try</h2><p>Travel: {}. The sign-in stays the same, and the next request is judged anew.</p>\
         <p>Edit <code>{}</code>, for instance to <code>state = \"report-only\"</code>, save, and load this page again.</p>\
         <h2>What the app received</h2><dl>{rows}</dl></main>",
        escape(path),
        why.unwrap_or_default(),
        travel.join(" · "),
        escape(&edited.display().to_string()),
    );
    page("Internal wiki", &body)
}

/// What a decision rested on; `None` where the log does not say.
pub(super) fn decision(policies: Option<&[(String, String)]>) -> String {
    let meaning = |result: &str| match result {
        "success" => "applied, and was satisfied",
        "failure" => "refused",
        "interrupted" => "asked for more",
        "reportOnlySuccess" => "is report-only; it would have been satisfied",
        "reportOnlyFailure" => "is report-only; it would have refused",
        "reportOnlyInterrupted" => "is report-only; it would have asked for more",
        _ => "had no part in it",
    };
    let body = match policies {
        None => "<p>The decision log does not have this request (yet): load the page again.</p>".to_owned(),
        Some([]) => "<p>No policy applied.</p>".to_owned(),
        Some(policies) => {
            let row = |(id, result): &(String, String)| {
                format!("<dt><code>{}</code></dt><dd>{}</dd>", escape(id), meaning(result))
            };
            format!("<dl>{}</dl>", policies.iter().map(row).collect::<String>())
        }
    };
    page("Policies", &body)
}
