//! What the clients of an app are: whose pages ask for it, and which programs read its refusals.

use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tables::CORS;
use crate::schema::tree::View;
use crate::settings::Cors;

/// How pages of `allowed-origins` may ask.
pub(super) fn cors(cx: &mut Context<'_>, view: View<'_>) -> Option<Cors> {
    if view.get("cors").is_some() && view.texts("allowed-origins").next().is_none() {
        cx.push(
            Diagnostic::error("app/cors", view.at_key("cors"), "`cors` without `allowed-origins`")
                .why("no page of another origin may ask, however it does")
                .help("name the origins in `allowed-origins`, or leave `cors` out"),
        );
    }
    let table = view.table_or_default("cors", &CORS);
    cx.not_empty(table, "methods", "leave it out to allow the app's methods");
    let methods = cx.parse_list(table, "methods", |text| values::method(text).and_then(|name| named(&name)));
    let headers = cx.parse_list(table, "headers", field);
    let expose = cx.parse_list(table, "expose", field);
    let max_age = cx.parse_key(table, "max-age", values::duration)?;
    Some(Cors {
        methods,
        headers: table.get("headers").map(|_| headers),
        expose,
        max_age,
        credentials: table.is_on("credentials"),
    })
}

/// The name of a header field, lower case.
fn field(text: &str) -> Result<String, Flaw> {
    if !values::is_token(text) {
        return Err(Flaw::new("app/cors", format!("`{}` is no name of a header field", shortened(text)))
            .help("write a name such as `X-CSRF-Token`"));
    }
    named(&text.to_ascii_lowercase())
}

/// Not everything: with the user's cookies a star is a name like any other (Fetch Standard, section 3.2.3), and browsers do
/// not count `Authorization` among what it stands for.
fn named(text: &str) -> Result<String, Flaw> {
    if text != "*" {
        return Ok(text.to_owned());
    }
    Err(Flaw::new("app/cors", "`*` allows less than it says".to_owned())
        .why("browsers take it for a name where cookies are sent, and never for `Authorization`")
        .help("write the names; `headers` that is left out allows whatever a page asks for"))
}

/// Whether Microsoft Office opens its documents: its dialog signs in at a provider of ours.
pub(super) fn office(cx: &mut Context<'_>, view: View<'_>) -> bool {
    let office = view.is_on("office");
    if office && view.get("sign-in").is_none() {
        cx.push(
            Diagnostic::error("app/office", view.at_key("office"), "`office` without `sign-in`")
                .why("its dialog opens a page at which the user signs in, and there is none")
                .help("name a `[[provider]]` in `sign-in`, or leave `office` out"),
        );
    }
    office
}
