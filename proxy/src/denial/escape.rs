//! What makes foreign text harmless: capped, freed of characters that steer, escaped for its place.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest texts that are shown, in characters.
pub(crate) mod cap {
    pub(crate) const USER: usize = 80;
    /// A mail address; an IP address is shorter.
    pub(crate) const ADDRESS: usize = 254;
    /// A platform, the code of a country.
    pub(crate) const WORD: usize = 32;
    /// A country, a time, in the words of a language.
    pub(crate) const PHRASE: usize = 64;
    pub(crate) const APP_NAME: usize = 80;
    /// In headline and title, where a longer name would push everything else off the screen.
    pub(crate) const APP_NAME_HEADLINE: usize = 48;
    pub(crate) const APP_ID: usize = 64;
    pub(crate) const DEVICE_ID: usize = 48;
    pub(crate) const OS_VERSION: usize = 32;
    pub(crate) const INSTALLATION: usize = 48;
    /// A link that is longer is left out: half a link is worse than none.
    pub(crate) const LINK: usize = 1024;
    /// A logo that is longer, in bytes, is left out; `check` takes none that is.
    pub(crate) const LOGO: usize = 48 << 10;
    pub(crate) const MESSAGE: usize = 300;
    pub(crate) const PROVIDER: usize = 64;
    /// An error of a provider, in its own words.
    pub(crate) const SAID: usize = 200;
}

/// What a text can be filled with. All of it is foreign, so each has the length that it is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    App,
    User,
    Address,
    Country,
    Platform,
    Version,
    Time,
    Provider,
    Reference,
    Device,
}

impl Hole {
    /// The name in a language file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::User => "user",
            Self::Address => "address",
            Self::Country => "country",
            Self::Platform => "platform",
            Self::Version => "version",
            Self::Time => "time",
            Self::Provider => "provider",
            Self::Reference => "reference",
            Self::Device => "device",
        }
    }

    pub(crate) const fn cap(self) -> usize {
        match self {
            Self::App => cap::APP_NAME_HEADLINE,
            Self::User => cap::USER,
            Self::Address => cap::ADDRESS,
            Self::Version => cap::OS_VERSION,
            Self::Provider => cap::PROVIDER,
            Self::Reference => cap::WORD,
            Self::Device => cap::DEVICE_ID,
            Self::Country | Self::Time => cap::PHRASE,
            Self::Platform => cap::WORD,
        }
    }
}

/// `text` as one line of at most `max` characters. Characters that steer instead of show (controls,
/// line and paragraph separators, marks of writing direction, invisible joiners, tags) become
/// U+FFFD: a name must not add a line to the text block, or turn its neighbours around.
pub(crate) fn one_line(text: &str, max: usize) -> Cow<'_, str> {
    // Nearly every name is this short and this plain.
    if text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(max * 4) + 3);
    let mut chars = text.chars();
    for char in chars.by_ref().take(max) {
        out.push(if steers(char) { char::REPLACEMENT_CHARACTER } else { char });
    }
    if chars.next().is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}

fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Writes what a denial says, in one form.
pub(crate) trait Escaper {
    /// Writes words of ours. They hold nothing that HTML escapes, which a test holds.
    fn literal(&mut self, text: &str);
    /// Writes foreign text, escaped as the form needs it.
    fn text(&mut self, text: &str);
    /// Writes foreign text as [`one_line`] of at most `max` characters.
    fn line(&mut self, text: &str, max: usize) {
        self.text(&one_line(text, max));
    }
    /// Writes what fills a hole of a text.
    fn hole(&mut self, hole: Hole, text: &str) {
        self.line(text, hole.cap());
    }
    /// Begins or ends words that a headline keeps in one line.
    fn together(&mut self, begins: bool) {
        let _ = begins;
    }
}

/// Escapes for HTML text and for attribute values in quotes.
#[derive(Debug)]
pub(crate) struct Html<'o>(pub(crate) &'o mut String);

impl Escaper for Html<'_> {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        push_escaped(self.0, text, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'"' => Some("&#34;"),
            b'\'' => Some("&#39;"),
            _ => None,
        });
    }
}

/// Escapes for HTML text that may hold elements: what fills a hole is isolated from the direction of the text around, the
/// user's name is emphasised, and words that stay together have an element of their own.
#[derive(Debug)]
pub(crate) struct Markup<'o>(pub(crate) &'o mut String);

impl Escaper for Markup<'_> {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        Html(self.0).text(text);
    }

    fn hole(&mut self, hole: Hole, text: &str) {
        let (open, close) = if hole == Hole::User { ("<b><bdi>", "</bdi></b>") } else { ("<bdi>", "</bdi>") };
        self.0.push_str(open);
        self.line(text, hole.cap());
        self.0.push_str(close);
    }

    fn together(&mut self, begins: bool) {
        self.0.push_str(if begins { "<span class=\"app\">" } else { "</span>" });
    }
}

/// Escapes nothing.
#[derive(Debug)]
pub(crate) struct Plain<'o>(pub(crate) &'o mut String);

impl Escaper for Plain<'_> {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// Appends `text` with some ASCII characters written otherwise.
pub(crate) fn push_escaped(out: &mut String, text: &str, escape: impl Fn(u8) -> Option<&'static str>) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escaped) = escape(byte) {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str(escaped);
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// `text`, escaped for HTML text and for attribute values in quotes.
pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    Html(&mut out).text(text);
    out
}

/// Appends `text` with everything but unreserved characters (RFC 3986, section 2.3) and `keep`
/// percent-encoded.
pub(crate) fn push_percent(out: &mut String, text: &str, keep: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // INVARIANT: writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Whether `url` may be a link on the page: absolute http(s) in printable ASCII, not too long.
/// `javascript:` and kin are no links.
pub(crate) fn is_web_link(url: &str) -> bool {
    url.len() <= cap::LINK && is_web_address(url)
}

/// Whether `url` points into this very host: `/path`, but neither `//host` nor `/\host`, which
/// browsers read as another host.
pub(crate) fn is_own_path(url: &str) -> bool {
    url.len() <= cap::LINK && is_own_address(url)
}

/// [`is_web_link`], however long.
pub(crate) fn is_web_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && is_link_text(url)
}

/// [`is_own_path`], however long.
pub(crate) fn is_own_address(url: &str) -> bool {
    url.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\'])) && is_link_text(url)
}

fn is_link_text(url: &str) -> bool {
    url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte))
}
