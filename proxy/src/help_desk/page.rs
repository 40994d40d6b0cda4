//! The help desk's page: a form and, below it, what was found. Plain HTML that needs no script.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_config::printable;

use super::account::Account;
use super::answer::Answer;
use super::desk::LookupError;
use super::text::{Row, sections};

const CSS: &str = include_str!("page.css");

/// A page, and what its browser may do with it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document.
    pub html: String,
    /// `Content-Security-Policy`.
    pub content_policy: &'static str,
}

static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, CSS.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The page with what a look-up came to; with nothing, the form alone. What was looked up is not written into the form
/// again: a screen at a help desk is seen by others.
#[must_use]
pub fn form_page(installation: &str, result: Option<&Result<Answer, LookupError>>) -> Page {
    let mut html =
        String::from("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.push_str(
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n",
    );
    let title = match result {
        None => "Help desk",
        Some(Ok(_)) => "Found – Help desk",
        Some(Err(_)) => "Not found – Help desk",
    };
    let name = escaped(installation);
    // INVARIANT: writing to a `String` cannot fail.
    let _ = writeln!(
        html,
        "<title>{title} – {name}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n<h1>Help desk – {name}</h1>"
    );
    match result {
        None => {}
        Some(Ok(answer)) => write_answer(&mut html, answer),
        Some(Err(problem)) => {
            let text = escaped(&problem.to_string());
            let _ = writeln!(
                html,
                "<div class=\"card\" role=\"status\"><h2>Nothing found</h2><p>{text}.</p></div>"
            );
        }
    }
    html.push_str(
        "<form class=\"card\" method=\"post\" action=\"/help-desk\">\n\
         <label for=\"what\">Reference, request id or support code</label>\n\
         <input type=\"text\" id=\"what\" name=\"what\" required maxlength=\"8192\" autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" aria-describedby=\"what-note\">\n\
         <p class=\"note\" id=\"what-note\">As the caller reads it from the page: 7K3M-9Q2X. O is read as 0, I and L as 1; the first four characters are enough to look.</p>\n\
         <label for=\"user\">Id of the caller, to confirm who asked (may be left out)</label>\n\
         <input type=\"text\" id=\"user\" name=\"user\" maxlength=\"512\" autocomplete=\"off\" spellcheck=\"false\">\n\
         <button type=\"submit\">Look up</button>\n</form>\n</main>\n</body>\n</html>\n",
    );
    Page { html, content_policy: CONTENT_POLICY.as_str() }
}

fn write_answer(html: &mut String, answer: &Answer) {
    if let Some(searched) = answer.searched.as_ref().filter(|_| answer.accounts.len() > 1) {
        let text = escaped(&searched.to_string());
        let _ = writeln!(
            html,
            "<p role=\"status\">{} requests have this reference; {text}.</p>",
            answer.accounts.len()
        );
    }
    for account in &answer.accounts {
        write_account(html, account);
    }
    if answer.more {
        html.push_str("<p>More requests fit; ask for the rest of the reference.</p>\n");
    }
}

fn write_account(html: &mut String, account: &Account) {
    let _ = writeln!(html, "<article class=\"card\">\n<h2>Reference {}</h2>", escaped(&account.reference));
    let code = account.code.map(|code| format!("error code {code}, ")).unwrap_or_default();
    let _ = writeln!(
        html,
        "<p class=\"note\">{code}request {} at {}, load {} of the configuration</p>",
        escaped(&account.request_id),
        escaped(&account.at),
        account.generation
    );
    for note in &account.notes {
        let _ = writeln!(html, "<p>{}</p>", escaped(note));
    }
    for section in sections(account) {
        let _ = writeln!(html, "<h3>{}</h3>", escaped(section.title));
        if section.title == "Say to the caller" {
            let _ = writeln!(html, "<p class=\"say\">{}</p>", escaped(&account.say));
            continue;
        }
        write_rows(html, &section.rows);
    }
    html.push_str("</article>\n");
}

fn write_rows(html: &mut String, rows: &[Row]) {
    let is_list = !rows.iter().any(|row| matches!(row, Row::Fact(..)));
    html.push_str(if is_list { "<ul>\n" } else { "<dl>\n" });
    let (mut in_line, mut in_details) = (false, false);
    for row in rows {
        match row {
            Row::Fact(name, text) => {
                let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(text));
            }
            Row::Line(text) => {
                html.push_str(if in_details { "</ul>" } else { "" });
                html.push_str(if in_line { "</li>\n" } else { "" });
                let _ = write!(html, "<li>{}", escaped(text));
                (in_line, in_details) = (true, false);
            }
            Row::Detail(text) => {
                html.push_str(if in_details { "" } else { "<ul>" });
                let _ = write!(html, "<li>{}</li>", escaped(text));
                in_details = true;
            }
        }
    }
    html.push_str(if in_details { "</ul>" } else { "" });
    html.push_str(if in_line { "</li>\n" } else { "" });
    html.push_str(if is_list { "</ul>\n" } else { "</dl>\n" });
}

/// Text in HTML. What would turn its direction or steer a terminal is written out, as on the command line.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in printable::value(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
