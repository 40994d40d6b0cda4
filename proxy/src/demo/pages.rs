//! The demo's pages: the sign-in page of the issuer, and the wiki that is protected.

use super::issuer::{DEVICES, PERSONS};
use super::places::PLACES;

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
fieldset{border:1px solid #8886;border-radius:.5rem;margin:1rem 0}label{display:block;padding:.3rem 0}\
button{font:inherit;padding:.6rem 1.2rem;border-radius:.4rem;border:0;background:#0b5cad;color:#fff}\
dt{font-weight:600}dd{margin:0 0 .5rem}nav{padding:.5rem 0;border-bottom:1px solid #8886}</style>";

/// Text for HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars().take(512) {
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

fn choice(name: &str, title: &str, options: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let radio = |(position, (id, label)): (usize, (&str, &str))| {
        let checked = if position == 0 { " checked" } else { "" };
        format!("<label><input type=radio name={name} value={id}{checked}> {label}</label>")
    };
    let radios: String = options.enumerate().map(radio).collect();
    format!("<fieldset><legend>{title}</legend>{radios}</fieldset>")
}

/// The page where one picks a person, a device and a place.
pub(super) fn sign_in() -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Sign in - Portcullis demo</title>{STYLE}<h1>Who are you today?</h1>\
         <p>This page plays your identity provider. It hands out a real signed token.</p>\
         <form action=/demo/sign-in>{}{}{}<button>Open the internal wiki</button></form></html>",
        choice("person", "Person", PERSONS.iter().map(|(id, label, ..)| (*id, *label))),
        choice("device", "Device", DEVICES.into_iter()),
        choice("place", "Place", PLACES.iter().map(|place| (place.id, place.label))),
    )
}

/// A page of the wiki: what the app received about the visitor.
pub(super) fn wiki(path: &str, received: &[(String, String)]) -> String {
    let rows: String = received
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)))
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Internal wiki</title>{STYLE}<nav><a href=/demo/>Change who and where you are</a></nav>\
         <h1>Internal wiki</h1><p>You are in. This page is the app behind Portcullis; page <code>{}</code>.</p>\
         <h2>What the app received</h2><dl>{rows}</dl></html>",
        escape(path)
    )
}
