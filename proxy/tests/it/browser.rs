//! A browser as far as signing in needs one: it keeps cookies for each host, sends them back, and follows redirects.

use std::collections::BTreeMap;

use crate::wire::{Answer, exchange};

/// What a browser says when a person opens a page.
pub(crate) const NAVIGATION: &str = "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n";

/// Cookies by host and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<(String, String), String>,
    /// Keeps none.
    blocks_cookies: bool,
}

/// An answer, and where it came from.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

impl Page {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status
    }

    pub(crate) fn location(&self) -> String {
        self.answer.header("location").unwrap_or_else(|| panic!("no location: {self:?}")).to_owned()
    }

    /// All `Set-Cookie` lines.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let lines = self.answer.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// Host with port, and target.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("not plain http: {url}"));
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    (&rest[..at], if at == rest.len() { "/" } else { &rest[at..] })
}

/// Where a host with its port is: every name here is this machine.
fn address(host: &str) -> String {
    let port = host.rsplit(':').next().unwrap();
    format!("127.0.0.1:{port}")
}

fn name_of(host: &str) -> String {
    host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned()
}

impl Browser {
    /// One that keeps no cookies.
    pub(crate) fn without_cookies() -> Self {
        Self { blocks_cookies: true, ..Self::default() }
    }

    /// Opens a page, and goes no further.
    pub(crate) fn open(&mut self, url: &str) -> Page {
        self.send("GET", url, NAVIGATION)
    }

    /// One request with these lines.
    pub(crate) fn send(&mut self, method: &str, url: &str, lines: &str) -> Page {
        self.send_with(method, url, lines, "")
    }

    /// Sends a form of a page of this origin.
    pub(crate) fn submit(&mut self, url: &str, origin: &str, form: &str) -> Page {
        let length = form.len();
        let lines = format!(
            "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n{origin}Content-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
        );
        self.send_with("POST", url, &lines, form)
    }

    fn send_with(&mut self, method: &str, url: &str, lines: &str, body: &str) -> Page {
        let (host, target) = parts(url);
        let cookie = self.header(&name_of(host));
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}{cookie}Connection: close\r\n\r\n{body}"
        );
        let answer = exchange(&address(host), head.as_bytes());
        let page = Page { url: url.to_owned(), answer };
        if !self.blocks_cookies {
            self.keep(&name_of(host), &page);
        }
        page
    }

    /// Opens a page, and follows redirects to the end.
    pub(crate) fn follow(&mut self, url: &str) -> Page {
        let mut page = self.open(url);
        for _ in 0..20 {
            if !matches!(page.status(), 302 | 303 | 307) {
                return page;
            }
            let next = self.next(&page);
            page = self.open(&next);
        }
        panic!("it goes round: {page:?}");
    }

    /// Where an answer sends to.
    pub(crate) fn next(&self, page: &Page) -> String {
        let location = page.location();
        if location.starts_with('/') {
            let (host, _) = parts(&page.url);
            return format!("http://{host}{location}");
        }
        location
    }

    /// The values of all cookies of a host whose names begin so.
    pub(crate) fn cookies(&self, host: &str, begin: &str) -> Vec<(String, String)> {
        let of = self.cookies.iter().filter(|((known, name), _)| known == host && name.starts_with(begin));
        of.map(|((_, name), value)| (name.clone(), value.clone())).collect()
    }

    /// Takes up, or away, a cookie.
    pub(crate) fn set(&mut self, host: &str, name: &str, value: Option<&str>) {
        let key = (host.to_owned(), name.to_owned());
        match value {
            Some(value) => self.cookies.insert(key, value.to_owned()),
            None => self.cookies.remove(&key),
        };
    }

    /// The line that sends a host's cookies.
    pub(crate) fn header(&self, host: &str) -> String {
        let pairs: Vec<_> =
            self.cookies(host, "").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) }
    }

    fn keep(&mut self, host: &str, page: &Page) {
        for line in page.set_cookies() {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let is_over = attributes.split(';').any(|one| one.trim().eq_ignore_ascii_case("max-age=0"));
            self.set(host, name, (!is_over).then_some(value));
        }
    }
}
