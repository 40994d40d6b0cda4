//! Which form an answer takes: read from the request's hints, in a fixed order.
//!
//! The hints are forgeable and decide nothing but the form: every form says the same.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderName, USER_AGENT};

use super::forms::{Program, program_of};
use crate::admit::Head;
use portcullis_config::settings::Clients;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const X_UP_VERSION: HeaderName = HeaderName::from_static("x-up-version");

/// What a request says about the answer that it can read. Header values as received; nothing of
/// them is ever reflected.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestHints<'r> {
    /// Method, upper case.
    pub method: &'r str,
    /// Whether an upgrade (WebSocket) is asked for, by `Upgrade` or extended `CONNECT`.
    pub is_upgrade: bool,
    /// `Accept`
    pub accept: Option<&'r str>,
    /// The query of the target; nothing but our own `lang=` is read of it.
    pub query: Option<&'r str>,
    /// `Accept-Language`
    pub accept_language: Option<&'r str>,
    /// `Sec-Fetch-Mode`
    pub sec_fetch_mode: Option<&'r str>,
    /// `Sec-Fetch-Dest`
    pub sec_fetch_dest: Option<&'r str>,
    /// `X-Requested-With`
    pub x_requested_with: Option<&'r str>,
    /// Whether there is an `HX-Request`.
    pub hx_request: bool,
    /// `Content-Type`
    pub content_type: Option<&'r str>,
    /// `User-Agent`
    pub user_agent: Option<&'r [u8]>,
    /// Whether there is an `Authorization`.
    pub had_bearer: bool,
    /// Whether a script of Unpoly asks, which puts the answer into its page.
    pub unpoly: bool,
    /// What the app says of its clients, where the user is known.
    pub clients: Option<Clients>,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiated {
    /// The page.
    Html,
    /// `application/problem+json` (RFC 9457).
    Json,
    /// Short text for terminals.
    Plain,
    /// gRPC, trailers only: the content type that the caller speaks.
    Grpc(&'static str),
    /// The shape of errors that one program reads.
    Program(Program),
}

impl Negotiated {
    /// Whether a person sees it.
    #[must_use]
    pub const fn is_page(self) -> bool {
        match self {
            Self::Html => true,
            Self::Json | Self::Plain | Self::Grpc(_) | Self::Program(_) => false,
        }
    }
}

/// Longest `Accept` that is read, in bytes, and the most ranges of it. What is beyond is ignored:
/// a form is always found.
const ACCEPT_BYTES_MAX: usize = 2048;
const ACCEPT_RANGES_MAX: usize = 32;

impl RequestHints<'static> {
    /// Those of a request that says nothing.
    pub const EMPTY: Self = Self {
        method: "",
        is_upgrade: false,
        accept: None,
        query: None,
        accept_language: None,
        sec_fetch_mode: None,
        sec_fetch_dest: None,
        x_requested_with: None,
        hx_request: false,
        content_type: None,
        user_agent: None,
        had_bearer: false,
        unpoly: false,
        clients: None,
    };

    /// Those of a GET that accepts this, in this mode of fetching.
    #[cfg(test)]
    pub(crate) const fn of_get(accept: &'static str, sec_fetch_mode: Option<&'static str>) -> Self {
        Self { method: "GET", accept: Some(accept), sec_fetch_mode, ..Self::EMPTY }
    }
}

impl<'r> RequestHints<'r> {
    /// Reads the hints of a request. Whether it is an upgrade, and whether it has a token in `Authorization`, is
    /// known from its admission.
    #[must_use]
    pub fn read(head: &Head<'r>) -> Self {
        Self {
            method: head.method.as_str(),
            query: head.query(),
            accept: head.hint(&ACCEPT),
            accept_language: head.hint(&ACCEPT_LANGUAGE),
            sec_fetch_mode: head.hint(&SEC_FETCH_MODE),
            sec_fetch_dest: head.hint(&SEC_FETCH_DEST),
            x_requested_with: head.hint(&X_REQUESTED_WITH),
            hx_request: head.hint_bytes(&HX_REQUEST).is_some(),
            content_type: head.hint(&CONTENT_TYPE),
            user_agent: head.hint_bytes(&USER_AGENT),
            unpoly: head.hint_bytes(&X_UP_VERSION).is_some(),
            is_upgrade: false,
            had_bearer: false,
            clients: None,
        }
    }

    /// The form of the answer.
    #[must_use]
    pub fn negotiate(&self) -> Negotiated {
        if let Some(kind) = self.content_type.and_then(grpc_kind) {
            return Negotiated::Grpc(kind);
        }
        if self.is_upgrade {
            return Negotiated::Json;
        }
        if self.prints_text() {
            return Negotiated::Plain;
        }
        if self.hx_request || self.unpoly || self.is_navigation() {
            return Negotiated::Html;
        }
        // Not before: a person may open an app of programs with a browser.
        let stated = self.user_agent.and_then(program_of);
        if let Some(program) = stated.or(self.clients.map(Program::Of)) {
            return Negotiated::Program(program.asking_for(self.accept));
        }
        let accept = self.accept.map(Accept::parse).unwrap_or_default();
        let scripted = self.had_bearer
            || self.x_requested_with.is_some_and(|by| by.trim().eq_ignore_ascii_case("XMLHttpRequest"));
        let html_wins =
            accept.html > 0 && (accept.html > accept.json || (accept.html == accept.json && !scripted));
        if html_wins && accept.html >= accept.plain {
            return Negotiated::Html;
        }
        if accept.json > 0 && accept.json >= accept.plain {
            return Negotiated::Json;
        }
        if accept.plain > 0 {
            return Negotiated::Plain;
        }
        // Nothing that we have was named. Scripts in browsers send Sec-Fetch-Mode, terminals do not.
        if self.sec_fetch_mode.is_none() && self.is_terminal() { Negotiated::Plain } else { Negotiated::Json }
    }

    /// Whether a person can simply ask again: a read, which is safe to repeat.
    pub(super) fn is_get(&self) -> bool {
        self.method == "GET"
    }

    /// Whether the browser itself shows the answer, as far as it says so.
    pub(super) fn is_navigation(&self) -> bool {
        let is = |value: Option<&str>, words: &[&str]| {
            value.is_some_and(|value| words.iter().any(|word| value.trim().eq_ignore_ascii_case(word)))
        };
        is(self.sec_fetch_mode, &["navigate", "nested-navigate"])
            || is(self.sec_fetch_dest, &["document", "iframe", "frame"])
    }

    /// Whether the program shows the status line in place of a body: Wget.
    pub(super) fn shows_status_line(&self) -> bool {
        self.user_agent
            .and_then(|agent| agent.get(..5))
            .is_some_and(|head| head.eq_ignore_ascii_case(b"wget/"))
    }

    /// Programs that show the body of a refusal if it is `text/plain`, and nothing of any other. Git names what it
    /// wants of a repository in `Accept`, and sends tokens and bodies as scripts do (git, `http.c`,
    /// `show_http_message` of `remote-curl.c`).
    fn prints_text(&self) -> bool {
        self.user_agent
            .and_then(|agent| agent.get(..4))
            .is_some_and(|head| head.eq_ignore_ascii_case(b"git/"))
    }

    fn is_terminal(&self) -> bool {
        const AGENTS: [&[u8]; 6] =
            [b"curl/", b"wget/", b"httpie/", b"xh/", b"fetch libfetch/", b"lwp-request/"];
        let Some(agent) = self.user_agent else { return false };
        AGENTS.iter().any(|name| agent.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)))
            || memchr::memmem::find(agent, b"PowerShell/").is_some()
    }
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc-web…`; not `application/grpcx`.
fn grpc_kind(content_type: &str) -> Option<&'static str> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let base = kind.split('+').next().unwrap_or_default();
    match base {
        "application/grpc" => Some("application/grpc"),
        "application/grpc-web" => Some("application/grpc-web"),
        "application/grpc-web-text" => Some("application/grpc-web-text"),
        _ => None,
    }
}

/// How much each of our forms is wanted *by name*, in thousandths; `*/*` names nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Accept {
    html: u16,
    json: u16,
    plain: u16,
}

impl Accept {
    /// Reads `Accept` (RFC 9110, section 12.5.1). A range that is no media range, or whose weight
    /// is none, is skipped. For each form the most specific range counts, so that
    /// `text/*, text/html;q=0` refuses HTML.
    fn parse(text: &str) -> Self {
        // What most programs say.
        match text {
            "application/json" => return Self { json: 1000, ..Self::default() },
            "*/*" => return Self::default(),
            _ => {}
        }
        let mut html = Wanted::default();
        let mut json = Wanted::default();
        let mut plain = Wanted::default();
        let mut end = text.len().min(ACCEPT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for range in split_unquoted(text.get(..end).unwrap_or_default(), b',').take(ACCEPT_RANGES_MAX) {
            let Some((kind, weight)) = parse_range(range) else { continue };
            let is = |names: &[&str]| names.iter().any(|name| kind.eq_ignore_ascii_case(name));
            if is(&["text/html", "application/xhtml+xml"]) {
                html.see(2, weight);
            } else if is(&["text/plain"]) {
                plain.see(2, weight);
            } else if is(&["text/*"]) {
                html.see(1, weight);
                plain.see(1, weight);
            } else if is(&["application/*"]) {
                json.see(1, weight);
            } else if is(&["application/json", "application/problem+json", "text/json"]) || is_json(kind) {
                json.see(2, weight);
            }
        }
        Self { html: html.weight, json: json.weight, plain: plain.weight }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    specificity: u8,
    weight: u16,
}

impl Wanted {
    fn see(&mut self, specificity: u8, weight: u16) {
        if specificity > self.specificity {
            *self = Self { specificity, weight };
        } else if specificity == self.specificity {
            self.weight = self.weight.max(weight);
        }
    }
}

/// The parts of `text` between separators outside of quoted strings.
fn split_unquoted(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let ends = |byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                other => return other == separator && !quoted,
            }
            false
        };
        match text.bytes().position(ends) {
            Some(end) => {
                rest = text.get(end + 1..);
                text.get(..end)
            }
            None => rest.take(),
        }
    })
}

/// `application/SOMETHING+json` (RFC 6839, section 3.1).
fn is_json(kind: &str) -> bool {
    let begins = kind.get(..12).is_some_and(|begin| begin.eq_ignore_ascii_case("application/"));
    let at = kind.len().saturating_sub(5);
    begins && kind.get(at..).is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

/// Type, and weight in thousandths.
fn parse_range(range: &str) -> Option<(&str, u16)> {
    let mut parts = split_unquoted(range, b';').map(str::trim);
    let kind = parts.next()?;
    let (main, sub) = kind.split_once('/')?;
    let is_token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    if !is_token(main) || !is_token(sub) {
        return None;
    }
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim_end().eq_ignore_ascii_case("q") {
            return Some((kind, parse_weight(value.trim_start())?));
        }
    }
    Some((kind, 1000))
}

/// `qvalue` of RFC 9110, section 12.4.2: `0` to `1` with at most three digits after the point.
pub(super) fn parse_weight(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = digits
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::Clients;

    use super::{Accept, Negotiated, Program, RequestHints, parse_weight};

    fn get<'r>(accept: &'r str) -> RequestHints<'r> {
        RequestHints { method: "GET", accept: Some(accept), ..RequestHints::default() }
    }

    #[test]
    fn weights_are_those_of_rfc_9110() {
        for (text, weight) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.123", Some(123)),
            ("0.1234", None),
            ("1.001", None),
            ("2", None),
            ("-1", None),
            ("", None),
            (".5", None),
            ("0.5x", None),
            ("1e0", None),
        ] {
            assert_eq!(parse_weight(text), weight, "{text}");
        }
    }

    #[test]
    fn accept_decides_the_form() {
        use Negotiated::{Html, Json, Plain};
        for (accept, form) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Html),
            ("application/json, text/plain, */*", Json),
            ("application/json", Json),
            ("application/problem+json", Json),
            ("application/vnd.api+json", Json),
            ("APPLICATION/JSON", Json),
            ("text/html;q=0.5, application/json;q=0.9", Json),
            ("text/html;q=0.9, application/json;q=0.5", Html),
            ("text/html, application/json", Html),
            ("text/plain", Plain),
            ("text/plain;q=0.9, text/html;q=0.1", Plain),
            ("text/*, text/html;q=0", Plain),
            ("text/html;q=0, */*", Json),
            ("text/html;level=\"a,b;q=0\", application/json;q=0.9", Html),
            ("image/png", Json),
            ("*/*", Json),
            ("", Json),
            (",,;;q=1,/", Json),
            ("text/html;q=nonsense, application/json;q=0.1", Json),
        ] {
            assert_eq!(get(accept).negotiate(), form, "{accept}");
        }
    }

    #[test]
    fn an_endless_accept_is_read_to_its_limit_only() {
        let long = "é".repeat(100_000) + ",text/html";
        assert_eq!(Accept::parse(&long), Accept::default());
        let many = "a/b,".repeat(40) + "text/html";
        assert_eq!(Accept::parse(&many), Accept::default());
    }

    #[test]
    fn hints_are_asked_in_their_order() {
        let browser = RequestHints { sec_fetch_mode: Some("navigate"), ..get("application/json") };
        assert_eq!(browser.negotiate(), Negotiated::Html);
        let frame = RequestHints { sec_fetch_dest: Some("iframe"), ..get("*/*") };
        assert_eq!(frame.negotiate(), Negotiated::Html);
        let htmx = RequestHints { hx_request: true, sec_fetch_mode: Some("cors"), ..get("*/*") };
        assert_eq!(htmx.negotiate(), Negotiated::Html);
        let socket = RequestHints { is_upgrade: true, ..browser };
        assert_eq!(socket.negotiate(), Negotiated::Json);
        let grpc = RequestHints { content_type: Some("Application/gRPC+proto; x=y"), ..socket };
        assert_eq!(grpc.negotiate(), Negotiated::Grpc("application/grpc"));
        let web = RequestHints { content_type: Some("application/grpc-web-text"), ..socket };
        assert_eq!(web.negotiate(), Negotiated::Grpc("application/grpc-web-text"));
        let other = RequestHints { content_type: Some("application/grpcx"), ..get("text/html") };
        assert_eq!(other.negotiate(), Negotiated::Html);
    }

    #[test]
    fn a_program_gets_its_own_shape_and_a_person_the_page() {
        let of = Program::Of;
        for (agent, program) in [
            ("docker/27.3.1 go/go1.22.7 os/linux", of(Clients::Docker)),
            ("containers/5.30.1 (github.com/containers/image)", of(Clients::Docker)),
            ("Helm/3.16.2", of(Clients::Helm)),
            ("npm/10.9.0 node/v22.10.0 linux x64 workspaces/false", of(Clients::Npm)),
            ("kubectl/v1.32.0 (linux/amd64) kubernetes/70d3cc9", of(Clients::Kubernetes)),
            ("HashiCorp Terraform/1.9.8 (+https://www.terraform.io)", of(Clients::Terraform)),
            ("pip/24.3.1 {\"ci\":null}", of(Clients::Pip)),
            ("git-lfs/3.6.1 (GitHub; linux amd64; go 1.23)", Program::GitLfs),
        ] {
            let hints = RequestHints { user_agent: Some(agent.as_bytes()), ..get("application/json") };
            assert_eq!(hints.negotiate(), Negotiated::Program(program), "{agent}");
        }
        let discovers = RequestHints {
            user_agent: Some(b"kubectl/v1.32.0 (linux/amd64) kubernetes/70d3cc9"),
            ..get("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
        };
        assert_eq!(discovers.negotiate(), Negotiated::Program(Program::KubernetesDiscovery));
        let app = RequestHints { clients: Some(Clients::Npm), user_agent: Some(b"got/11"), ..get("*/*") };
        assert_eq!(app.negotiate(), Negotiated::Program(of(Clients::Npm)));
        let docker = RequestHints { user_agent: Some(b"docker/27"), ..app };
        assert_eq!(
            docker.negotiate(),
            Negotiated::Program(of(Clients::Docker)),
            "what it says of itself goes first"
        );
        let person = RequestHints { sec_fetch_mode: Some("navigate"), ..app };
        assert_eq!(person.negotiate(), Negotiated::Html);
        let browser = RequestHints { user_agent: Some(b"Mozilla/5.0 docker/27 npm/10"), ..get("*/*") };
        assert_eq!(browser.negotiate(), Negotiated::Json);
    }

    #[test]
    fn who_names_nothing_gets_json_and_a_terminal_gets_text() {
        let curl = RequestHints { user_agent: Some(b"curl/8.5.0"), ..get("*/*") };
        assert_eq!(curl.negotiate(), Negotiated::Plain);
        assert_eq!(RequestHints { accept: None, ..curl }.negotiate(), Negotiated::Plain);
        assert_eq!(RequestHints { had_bearer: true, ..curl }.negotiate(), Negotiated::Plain);
        assert_eq!(RequestHints { method: "POST", ..curl }.negotiate(), Negotiated::Plain);
        let asks = RequestHints { accept: Some("application/json, */*;q=0.5"), ..curl };
        assert_eq!(asks.negotiate(), Negotiated::Json, "HTTPie with a body of JSON");
        let library = RequestHints { user_agent: Some(b"python-requests/2.32.3"), ..get("*/*") };
        assert_eq!(library.negotiate(), Negotiated::Json);
        assert_eq!(RequestHints { sec_fetch_mode: Some("cors"), ..curl }.negotiate(), Negotiated::Json);
        let git = RequestHints { user_agent: Some(b"git/2.39.5"), had_bearer: true, ..get("*/*") };
        assert_eq!(git.negotiate(), Negotiated::Plain);
        let push = RequestHints {
            method: "POST",
            accept: Some("application/x-git-receive-pack-result"),
            content_type: Some("application/x-git-receive-pack-request"),
            ..git
        };
        assert_eq!(push.negotiate(), Negotiated::Plain);
        let lfs = "application/vnd.git-lfs+json";
        assert_eq!(
            RequestHints { user_agent: Some(b"git-lfs/3.3.0"), ..get(lfs) }.negotiate(),
            Negotiated::Program(Program::GitLfs)
        );
        let ajax =
            RequestHints { x_requested_with: Some("XMLHttpRequest"), ..get("text/html, application/json") };
        assert_eq!(ajax.negotiate(), Negotiated::Json);
        assert_eq!(RequestHints { method: "GET", ..RequestHints::default() }.negotiate(), Negotiated::Json);
    }
}
