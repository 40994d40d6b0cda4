//! The keys of the main file, except those of policies.

use super::policy_tables::POLICY;
use super::sign_in_tables::{ASSERTION, FORWARD_AUTH, PROVIDER, SECRET, SESSION, SIGN_IN};
use super::{
    CONTEXTS, DISCLOSURE, DURATION, Form, Key, Literal, Shape, TEXT, TEXTS, Table, default, optional,
    required,
};
use crate::settings::{
    AccessFormat, BalancePolicy, CheckMethod, ClientDemand, Clients, ForwardedHeader, FullTo, LANGUAGES,
    ListSeparator, ProcessLog, SessionAuthorization, Subject, UpstreamProtocol,
};
use portcullis_policy::model::Evidence;
use portcullis_policy::path::PathForm;

const RATE: Shape = Shape::Text(Form::Rate);
const PATHS: Shape = Shape::Either(&[Shape::Text(Form::Path), Shape::List(&Shape::Text(Form::Path))]);
const NETWORKS: Shape = Shape::List(&Shape::Text(Form::Network));
static LOCATION_SHAPE: Shape = Shape::Table(&LOCATION);
static STRENGTH_SHAPE: Shape = Shape::Table(&STRENGTH);
static POLICY_SHAPE: Shape = Shape::Table(&POLICY);
const LOCATION_KEY: Key = optional("location", Shape::List(&LOCATION_SHAPE), "A named location.");
const STRENGTH_KEY: Key = optional("strength", Shape::List(&STRENGTH_SHAPE), "An authentication strength.");
const POLICY_KEY: Key = optional("policy", Shape::List(&POLICY_SHAPE), "A policy.");

/// The main file.
pub(crate) static MAIN: Table = Table {
    title: "the main file",
    keys: &[
        optional(
            "policies",
            Shape::List(&Shape::Text(Form::Glob)),
            "Files with policies, relative to this file.",
        ),
        optional(
            "locations",
            Shape::List(&Shape::Text(Form::Glob)),
            "Files with locations, relative to this file.",
        ),
        required("server", Shape::Table(&SERVER), "The process."),
        optional(
            "trusted-proxies",
            Shape::Table(&TRUSTED_PROXIES),
            "Who may name the client's address, and the scheme and port of its connection.",
        ),
        required("issuer", Shape::List(&Shape::Table(&ISSUER)), "An issuer of tokens."),
        optional(
            "provider",
            Shape::List(&Shape::Table(&PROVIDER)),
            "An OpenID provider where browsers sign in.",
        ),
        optional("session", Shape::Table(&SESSION), "Sessions; required where an app has a sign-in."),
        optional(
            "sign-in",
            Shape::Table(&SIGN_IN),
            "Where browsers sign in; at each app's own host if absent.",
        ),
        optional("assertion", Shape::Table(&ASSERTION), "The signed statement of who asks, for apps."),
        required("app", Shape::List(&Shape::Table(&APP)), "A protected application."),
        optional("dns", Shape::Table(&DNS), "How names of apps' servers become addresses."),
        optional("geo", Shape::Table(&GEO), "The country database."),
        optional("denial", Shape::Table(&DENIAL), "The denial page."),
        optional("evidence", Shape::Table(&EVIDENCE), "What counts as proof that a control is met."),
        optional(
            "insecure-options",
            Shape::Table(&INSECURE),
            "Switches that lower the protection, each by name.",
        ),
        LOCATION_KEY,
        STRENGTH_KEY,
        POLICY_KEY,
    ],
};

/// An included file.
pub(crate) static INCLUDED: Table =
    Table { title: "an included file", keys: &[LOCATION_KEY, STRENGTH_KEY, POLICY_KEY] };

pub(crate) static HELP_DESK: Table = Table {
    title: "[server.help-desk]",
    keys: &[required(
        "token",
        Shape::Table(&SECRET),
        "What whoever asks proves itself by: as the password of `Authorization: Basic`, whose name is logged, or as a bearer token.",
    )],
};

pub(crate) static SERVER: Table = Table {
    title: "[server]",
    keys: &[
        required("listeners", Shape::List(&Shape::Table(&LISTENER)), "Public listeners."),
        default(
            "admin",
            Literal::Text("127.0.0.1:9090"),
            Shape::Text(Form::SocketAddress),
            "Metrics and health; loopback unless `insecure-options` says otherwise.",
        ),
        optional(
            "help-desk",
            Shape::Table(&HELP_DESK),
            "Look-ups of refusals at `/help-desk` of the admin listener; none if absent.",
        ),
        optional("threads", Shape::Integer { min: 1, max: 1024 }, "Worker threads; one per core if absent."),
        default(
            "grace",
            Literal::Text("30s"),
            DURATION,
            "How long open requests may take after a stop was requested.",
        ),
        optional(
            "pre-stop-delay",
            DURATION,
            "How long after SIGTERM it still accepts, while `/readyz` already says no: for load balancers that look now and then; not at all if absent.",
        ),
        default(
            "upgrade-socket",
            Literal::Text("/run/portcullis/upgrade.sock"),
            Shape::Text(Form::Path),
            "Where a successor asks for the listening sockets.",
        ),
        default(
            "pid-file",
            Literal::Text("/run/portcullis/portcullis.pid"),
            Shape::Text(Form::Path),
            "File with the process id.",
        ),
        default(
            "client-idle",
            Literal::Text("60s"),
            DURATION,
            "How long a client connection stays open that sends no request, or takes nothing of an answer.",
        ),
        default(
            "upstream-pool",
            Literal::Integer(256),
            Shape::Integer { min: 0, max: 1_000_000 },
            "The most idle upstream connections held.",
        ),
        default(
            "body-max",
            Literal::Text("10MiB"),
            Shape::Text(Form::Size),
            "Largest request body, of apps that say nothing.",
        ),
        optional("limits", Shape::Table(&LIMITS), "What nobody may exceed."),
        default(
            "decision-log",
            Literal::Text("stdout"),
            Shape::Either(&[Shape::Word(&["stdout", "off"]), Shape::Table(&DECISION_LOG)]),
            "Where decisions are logged.",
        ),
        default(
            "process-log",
            Literal::Text("text"),
            Shape::Word(&ProcessLog::WORDS),
            "How the process' own messages are written to standard error: for people, or one JSON object a line.",
        ),
    ],
};

pub(crate) static LIMITS: Table = Table {
    title: "[server.limits]",
    keys: &[
        optional(
            "connections",
            Shape::Integer { min: 1, max: 10_000_000 },
            "Client connections at once, on all listeners; further ones wait. If absent, 80 % of the descriptors that the process may open, and at least 64 of those are left.",
        ),
        default(
            "connections-per-address",
            Literal::Integer(512),
            Shape::Integer { min: 1, max: 10_000_000 },
            "Connections of one address at once, or of one /64 of IPv6; further ones are closed. Trusted proxies, those who may ask about requests, and sources of PROXY headers have `connections-per-proxy` instead.",
        ),
        optional(
            "connections-per-proxy",
            Shape::Integer { min: 1, max: 10_000_000 },
            "Connections at once of one address in `[trusted-proxies]`, in `proxy-protocol.from` or in `peers` of `forward-auth`; further ones are closed. If absent, nine tenths of all connections.",
        ),
        default(
            "head-max",
            Literal::Text("48KiB"),
            Shape::Text(Form::Size),
            "Bytes that are read of a request's head over HTTP/1; 431 beyond it.",
        ),
        default(
            "head-time",
            Literal::Text("15s"),
            DURATION,
            "How long a head may take over HTTP/1, from its first byte; 408 beyond it.",
        ),
        default(
            "handshake-time",
            Literal::Text("10s"),
            DURATION,
            "How long a connection may take, from accept: the PROXY header, the handshake of TLS, the preface of HTTP/2, or the first byte of HTTP/1.",
        ),
        default(
            "streams-before-grant",
            Literal::Integer(16),
            Shape::Integer { min: 1, max: 10_000 },
            "Streams at once of a connection of HTTP/2 until a request on it is let in; further ones wait.",
        ),
        default(
            "streams",
            Literal::Integer(100),
            Shape::Integer { min: 1, max: 10_000 },
            "Streams at once of a connection of HTTP/2.",
        ),
        default(
            "unfinished-heads",
            Literal::Text("48MiB"),
            Shape::Text(Form::Size),
            "Bytes of HTTP/1 heads that are not complete, of all connections: over it, the connection that holds most is closed.",
        ),
        default(
            "unsent-per-connection",
            Literal::Text("1MiB"),
            Shape::Text(Form::Size),
            "Bytes of answers that a connection of HTTP/2 may leave unread here; while they are more, further streams wait.",
        ),
        optional(
            "unsent",
            Shape::Text(Form::Size),
            "The same of all connections, over HTTP/1 too, where a download that is slower than its app counts as 512 KiB: over it, the connection that holds most is closed. If absent, an eighth of the memory of the container or machine, at least 64 MiB and at most 1 GiB.",
        ),
        default(
            "stall",
            Literal::Text("5s"),
            DURATION,
            "How long a client may leave an answer of Portcullis itself (a refusal) unread.",
        ),
        default(
            "waiting",
            Literal::Integer(10_000),
            Shape::Integer { min: 0, max: 1_000_000 },
            "Refusal pages at once that hold a stream to learn when they may open the app; further ones ask every few seconds. With 0 no page waits.",
        ),
        default(
            "failed-verifications",
            Literal::Text("20/s burst 100"),
            RATE,
            "Tokens of one address that may fail to verify; beyond it tokens that are not remembered are not looked at.",
        ),
    ],
};

pub(crate) static DECISION_LOG: Table = Table {
    title: "decision-log",
    keys: &[
        optional("file", Shape::Text(Form::Path), "Appended to this file; standard output if absent."),
        optional(
            "max-size",
            Shape::Text(Form::Size),
            "At this size the file becomes `NAME.1` and a new one is begun; never if absent.",
        ),
        default(
            "keep",
            Literal::Integer(5),
            Shape::Integer { min: 0, max: 1_000 },
            "How many full files remain.",
        ),
        optional(
            "syslog",
            TEXT,
            "Instead of a file: a socket on this machine (`/dev/log`), or `udp://ADDRESS:PORT` (RFC 5424).",
        ),
        optional(
            "grants-one-in",
            Shape::Integer { min: 1, max: 1_000_000_000 },
            "Log one in so many requests that were let in, too; none if absent.",
        ),
        default(
            "subject",
            Literal::Text("hashed"),
            Shape::Word(&Subject::WORDS),
            "How people are named: by id, by a keyed hash of it, or not at all.",
        ),
        optional(
            "access",
            Shape::Table(&ACCESS_LOG),
            "An access log beside it, with a line for each request; none if absent.",
        ),
    ],
};

pub(crate) static ACCESS_LOG: Table = Table {
    title: "access",
    keys: &[
        optional("file", Shape::Text(Form::Path), "Appended to this file; standard output if absent."),
        optional(
            "max-size",
            Shape::Text(Form::Size),
            "At this size the file becomes `NAME.1` and a new one is begun; never if absent.",
        ),
        default(
            "keep",
            Literal::Integer(5),
            Shape::Integer { min: 0, max: 1_000 },
            "How many full files remain.",
        ),
        optional(
            "syslog",
            TEXT,
            "Instead of a file: a socket on this machine (`/dev/log`), or `udp://ADDRESS:PORT` (RFC 5424).",
        ),
        default(
            "format",
            Literal::Text("json"),
            Shape::Word(&AccessFormat::WORDS),
            "One JSON object a line, or the combined format of Apache and nginx.",
        ),
    ],
};

pub(crate) static LISTENER: Table = Table {
    title: "a listener",
    keys: &[
        required("address", Shape::Text(Form::SocketAddress), "Address and port."),
        optional("tls", Shape::Table(&LISTENER_TLS), "Certificates and keys; plain HTTP if absent."),
        optional(
            "public-port",
            Shape::Integer { min: 1, max: 65_535 },
            "The port that clients connect to, where ports are translated in front of it; the listener's if absent.",
        ),
        optional(
            "proxy-protocol",
            Shape::Table(&PROXY_PROTOCOL),
            "Each connection of these sources begins with a PROXY header, version 1 or 2, and its client is the one named there.",
        ),
        default(
            "redirect-to-https",
            Literal::Bool(false),
            Shape::Bool,
            "On a plain listener: sends clients to https with 308, and lets nobody in; the port is that of the first listener with TLS, or 443.",
        ),
        optional(
            "hsts",
            HSTS_SHAPE,
            "`Strict-Transport-Security` of answers to https requests: for how long browsers come by https alone.",
        ),
        optional(
            "forward-auth",
            Shape::Table(&FORWARD_AUTH),
            "Another proxy asks here whether to let requests in, and clients never come here.",
        ),
        optional(
            "health-path",
            TEXT,
            "A path that is answered here, for whatever host: 200, or 503 where no issuer's keys are there or the process ends. For balancers, also in HTTP/1.0 without `Host`.",
        ),
    ],
};

pub(crate) static PROXY_PROTOCOL: Table = Table {
    title: "proxy-protocol",
    keys: &[required(
        "from",
        Shape::List(&Shape::Text(Form::Network)),
        "Networks of the load balancers that send it, and must; whoever else connects is taken without.",
    )],
};

const HSTS_SHAPE: Shape = Shape::Either(&[DURATION, Shape::Table(&HSTS)]);

pub(crate) static HSTS: Table = Table {
    title: "hsts",
    keys: &[
        required("max-age", DURATION, "For how long, from each answer on."),
        default(
            "include-subdomains",
            Literal::Bool(false),
            Shape::Bool,
            "Whether it holds for every name below the host, too.",
        ),
    ],
};

pub(crate) static LISTENER_TLS: Table = Table {
    title: "tls",
    keys: &[
        optional(
            "certificate",
            Shape::Text(Form::Path),
            "PEM file with the certificate chain, if there is one.",
        ),
        optional("key", Shape::Text(Form::Path), "PEM file with the private key of `certificate`."),
        optional(
            "certificates",
            Shape::List(&Shape::Table(&PAIR)),
            "Several certificates: a client is served that of the name it asks for, exact before `*.`, or else the first.",
        ),
        optional(
            "ticket-keys",
            Shape::List(&Shape::Text(Form::Path)),
            "Files with 80 random bytes, raw or in base64, that seal session tickets, the same for all replicas: the first seals, each opens; keys of this process alone if absent.",
        ),
    ],
};

pub(crate) static PAIR: Table = Table {
    title: "a certificate",
    keys: &[
        required("certificate", Shape::Text(Form::Path), "PEM file with the certificate chain."),
        required("key", Shape::Text(Form::Path), "PEM file with the private key."),
    ],
};

pub(crate) static TRUSTED_PROXIES: Table = Table {
    title: "[trusted-proxies]",
    keys: &[
        required("networks", NETWORKS, "Networks of trusted peers."),
        default(
            "header",
            Literal::Text("x-forwarded-for"),
            Shape::Word(&ForwardedHeader::WORDS),
            "The header that they use.",
        ),
    ],
};

pub(crate) static ISSUER: Table = Table {
    title: "[[issuer]]",
    keys: &[
        required("name", Shape::Text(Form::Id), "Short name in metrics and logs."),
        required("issuer", TEXT, "The exact `iss` of its tokens."),
        optional(
            "audiences",
            TEXTS,
            "Accepted `aud` values of access tokens; only where a `[[provider]]` names the issuer it may be absent, and then none is accepted.",
        ),
        default(
            "algorithms",
            Literal::Texts(&["RS256", "ES256"]),
            TEXTS,
            "Accepted signature algorithms; asymmetric only. Keys without `alg` serve each of them that fits.",
        ),
        default("types", Literal::Texts(&["jwt", "at+jwt"]), TEXTS, "Accepted `typ` header values."),
        required(
            "keys",
            Shape::Table(&KEYS),
            "Where its keys are: exactly one of `file`, `url`, `discovery`.",
        ),
        optional(
            "ca",
            Shape::Text(Form::Path),
            "A PEM file with the authorities that its key source's certificate must come from; the system's if absent.",
        ),
        default("leeway", Literal::Text("30s"), DURATION, "Clock difference that is forgiven; at most 30s."),
        optional("max-age", DURATION, "How long ago a token may have been issued."),
        default(
            "refresh",
            Literal::Text("10m"),
            DURATION,
            "How often keys are fetched anew; a dead key server is noticed by then.",
        ),
        default(
            "refresh-min",
            Literal::Text("30s"),
            DURATION,
            "Least time between two fetches for an unknown key id.",
        ),
        default(
            "stale-max",
            Literal::Text("24h"),
            DURATION,
            "How long the last good keys are used while the source is silent.",
        ),
        optional("contexts-satisfy", Shape::Bool, "As `evidence.contexts-satisfy`, for this issuer alone."),
        optional("claims", Shape::Table(&CLAIMS), "Which claims say what."),
    ],
};

pub(crate) static KEYS: Table = Table {
    title: "keys",
    keys: &[
        optional("file", Shape::Text(Form::Path), "A JWKS file."),
        optional("url", Shape::Text(Form::Url), "A JWKS document; https, or http on loopback."),
        optional(
            "discovery",
            Shape::Text(Form::Url),
            "An OpenID Connect discovery document; https, or http on loopback.",
        ),
    ],
};

/// The name of a claim, or the path to it.
const CLAIM: Shape = Shape::Either(&[TEXT, TEXTS]);

pub(crate) static CLAIMS: Table = Table {
    title: "[issuer.claims]",
    keys: &[
        default("user-id", Literal::Text("sub"), CLAIM, "The user's id."),
        default("user-name", Literal::Text("preferred_username"), CLAIM, "The name shown on the page."),
        default("groups", Literal::Text("groups"), CLAIM, "Groups."),
        default("roles", Literal::Text("wids"), CLAIM, "Directory roles."),
        optional(
            "list-separator",
            Shape::Word(&ListSeparator::WORDS),
            "What stands between groups or roles that a token has as one text; if absent, a text that could hold several cannot be read.",
        ),
        default("methods", Literal::Text("amr"), CLAIM, "Authentication methods."),
        default("acr", Literal::Text("acr"), CLAIM, "Authentication context class."),
        default("contexts", Literal::Text("acrs"), CLAIM, "Satisfied authentication contexts."),
        default("auth-time", Literal::Text("auth_time"), CLAIM, "Time of the sign-in."),
        default("device-id", Literal::Text("deviceid"), CLAIM, "Device id."),
        default(
            "device-compliant",
            Literal::Text("device_compliant"),
            CLAIM,
            "Whether the device is compliant.",
        ),
        default("device-trust-type", Literal::Text("device_trust_type"), CLAIM, "The device's join type."),
        default("device-os", Literal::Text("device_os"), CLAIM, "The device's operating system."),
        default("device-os-version", Literal::Text("device_os_version"), CLAIM, "The version of that."),
        optional("sign-in-risk", CLAIM, "Sign-in risk."),
        optional("user-risk", CLAIM, "User risk."),
        optional("insider-risk", CLAIM, "Insider risk."),
        optional("service-principal-risk", CLAIM, "Service principal risk."),
        optional("risk-seen", CLAIM, "When the user's risk was seen; a later password change answers it."),
        optional("flow", CLAIM, "The authentication flow: `deviceCodeFlow` or `authenticationTransfer`."),
        optional(
            "guest-kind",
            CLAIM,
            "How a user is external, in Graph's words; `acct` and `userType` show B2B guests without it.",
        ),
        optional("home-tenant", CLAIM, "The tenant that a user comes from."),
        optional(
            "device-attributes",
            Shape::Map(&CLAIM),
            "Further attributes of the device: Entra's name = the claim that has it, such as `model` or `extensionAttribute1`.",
        ),
        optional("terms", CLAIM, "Accepted terms of use."),
        optional("custom-controls", CLAIM, "Satisfied external controls."),
        optional("password-changed", CLAIM, "Time of the last password change."),
        optional("extra", Shape::List(&CLAIM), "Further claims that rules may ask for as `user.NAME`."),
    ],
};

pub(crate) static APP: Table = Table {
    title: "[[app]]",
    keys: &[
        required("id", Shape::Text(Form::Id), "Its id in policies, metrics and logs."),
        optional("name", TEXT, "Its name on the page; the id if absent."),
        required(
            "hosts",
            Shape::List(&Shape::Text(Form::Host)),
            "Host names, without port; `*.corp.example` is every name with one label more, unless an app has it exactly.",
        ),
        default(
            "path",
            Literal::Text("/"),
            TEXT,
            "Path prefix, in Unicode or escaped; compared as `paths` says.",
        ),
        optional(
            "paths",
            Shape::Word(&["case-sensitive", "case-insensitive"]),
            "Whether `/Admin` and `/admin` are two pages of the app; if absent, whatever is stricter.",
        ),
        optional(
            "allow-paths",
            Shape::List(&Shape::Word(&PathForm::WORDS)),
            "Forms of paths that are refused unless the app needs them.",
        ),
        optional("groups", TEXTS, "App groups that it belongs to."),
        optional("attributes", Shape::Map(&ATTRIBUTE), "Attributes for app filters, `app.NAME`."),
        optional(
            "upstreams",
            Shape::List(&Shape::Either(&[Shape::Text(Form::Url), Shape::Table(&UPSTREAM)])),
            "Servers: `http://host:port`, `https://host:port`, `unix:/path`, or a table with more about one.",
        ),
        optional(
            "balance",
            Shape::Table(&BALANCE),
            "Which of several servers takes a request; each in turn if absent.",
        ),
        optional("retries", Shape::Table(&RETRIES), "How often a request may be sent anew."),
        optional(
            "upstream-ca",
            Shape::Text(Form::Path),
            "A PEM file with the authorities that certificates of its https upstreams must come from; the system's if absent.",
        ),
        optional(
            "client-certificate",
            Shape::Word(&ClientDemand::WORDS),
            "Whether clients must show a certificate, or are asked for one that must be good; not asked if absent.",
        ),
        optional(
            "client-ca",
            PATHS,
            "PEM files with the authorities that clients' certificates must come from.",
        ),
        optional(
            "client-crl",
            PATHS,
            "PEM files with the authorities' revocation lists, one of each authority of a chain; nothing is revoked if absent.",
        ),
        optional(
            "hsts",
            HSTS_SHAPE,
            "`Strict-Transport-Security` for its hosts, in place of the listener's and of its own; shown once somebody is known.",
        ),
        optional("assigned", Shape::Table(&ASSIGNED), "Who may open it at all; everybody if absent."),
        default(
            "unmatched",
            Literal::Text("deny"),
            Shape::Word(&["deny", "allow"]),
            "What happens when no policy applies.",
        ),
        optional(
            "token",
            Shape::Table(&TOKEN),
            "Where the token is looked for; `Authorization: Bearer` if absent.",
        ),
        optional("issuers", TEXTS, "Names of accepted issuers; all if absent."),
        optional(
            "audiences",
            TEXTS,
            "Audiences of which a token must have one; any of its issuer's if absent.",
        ),
        optional(
            "sign-in-url",
            Shape::Text(Form::Url),
            "Where a browser without a token can sign in, if that is not Portcullis; or `sign-in`.",
        ),
        optional(
            "sign-in",
            Shape::Either(&[TEXT, TEXTS]),
            "The `[[provider]]` at which browsers sign in; of several, people choose.",
        ),
        default(
            "keep-fragment",
            Literal::Bool(false),
            Shape::Bool,
            "Whether what stands behind `#` in a link outlives a sign-in, at the price of one more page.",
        ),
        default(
            "clears-cookies",
            Literal::Bool(false),
            Shape::Bool,
            "Whether its `Clear-Site-Data` may clear cookies: those of its whole domain, sign-ins at all apps among them.",
        ),
        default(
            "assertion",
            Literal::Bool(false),
            Shape::Bool,
            "Whether it receives the assertion of `[assertion]`.",
        ),
        default(
            "session-authorization",
            Literal::Text("none"),
            Shape::Word(&SessionAuthorization::WORDS),
            "What it receives as `Authorization` with requests on a session: nothing, or the access token.",
        ),
        optional(
            "identity-headers",
            Shape::Map(&Shape::Text(Form::Identity)),
            "Headers that name the user to the app.",
        ),
        default(
            "forward-authorization",
            Literal::Bool(false),
            Shape::Bool,
            "Whether an `Authorization` whose token was verified reaches the app; any other never does.",
        ),
        optional(
            "allow-headers",
            TEXTS,
            "Reserved headers (`X-Forwarded-*`, `Remote-*`, …) that reach the app as any client sends them.",
        ),
        optional("methods", TEXTS, "Accepted methods; any if absent."),
        default("websocket", Literal::Bool(true), Shape::Bool, "Whether WebSocket upgrades pass."),
        optional(
            "allowed-origins",
            Shape::List(&Shape::Text(Form::Url)),
            "Further origins whose pages may ask for it by script (CORS), read its refusals, and open a WebSocket with the user's cookie.",
        ),
        optional("cors", Shape::Table(&CORS), "How pages of `allowed-origins` may ask."),
        optional(
            "clients",
            Shape::Word(&Clients::WORDS),
            "Programs whose own shape of errors its refusals have; they choose it by what they say of themselves if absent.",
        ),
        default(
            "office",
            Literal::Bool(false),
            Shape::Bool,
            "Whether Microsoft Office opens its documents, and signs in by a dialog (MS-OFBA); wants `sign-in`.",
        ),
        optional("timeouts", Shape::Table(&TIMEOUTS), "Upstream timeouts."),
        optional("health", Shape::Table(&HEALTH), "When a server is left out, and how it is checked."),
        optional("body-max", Shape::Text(Form::Size), "Largest request body; that of `[server]` if absent."),
        default(
            "body-rate-min",
            Literal::Text("1KiB/s"),
            Shape::Text(Form::ByteRate),
            "The least that a client must send of a body, after 10 seconds; `0B/s` for no least.",
        ),
        optional(
            "public",
            Shape::List(&Shape::Text(Form::PathPattern)),
            "Paths that need no identity and ask no policy: `/healthz` alone, `/.well-known/**` with all below it; the app is told of nobody there.",
        ),
        optional("redirect", Shape::Table(&REDIRECT), "Where who is let in is sent, instead of `upstreams`."),
        optional(
            "respond",
            Shape::Table(&RESPOND),
            "What who is let in is answered, instead of `upstreams`.",
        ),
        optional(
            "maintenance",
            Shape::Either(&[Shape::Bool, Shape::Table(&MAINTENANCE)]),
            "Whether who is let in is told that the app is being worked at (503) and nothing reaches it.",
        ),
        optional(
            "prefix-rewrite",
            TEXT,
            "What the app receives in place of its `path`: `/` takes it away, `/app` puts that there. What it then sees is judged, too.",
        ),
        default(
            "upstream-host",
            Literal::Text("keep"),
            TEXT,
            "The `Host` that the app is asked for: `keep` is the client's, `upstream` that of the server's URL, or a name.",
        ),
        optional(
            "request-headers",
            Shape::Table(&FIELDS),
            "Header fields of requests that are set or taken away.",
        ),
        optional(
            "response-headers",
            Shape::Table(&FIELDS),
            "Header fields of the app's answers that are set or taken away.",
        ),
        optional(
            "rate",
            RATE,
            "Requests of one address (of an IPv6 network of 64 bits); counted before a token is looked at; unlimited if absent.",
        ),
        optional(
            "rate-per-principal",
            RATE,
            "Requests of one person or program, refused ones too; unlimited if absent.",
        ),
        optional(
            "contexts",
            Shape::List(&Shape::Table(&APP_CONTEXT)),
            "Parts that ask for an authentication context.",
        ),
        optional("disclosure", DISCLOSURE, "How much its denials show; as `[denial]` says if absent."),
        optional(
            "language",
            Shape::Word(LANGUAGES),
            "Language of its denials for who asks for none that there is; as `[denial]` says if absent.",
        ),
    ],
};

pub(crate) static CORS: Table = Table {
    title: "cors",
    keys: &[
        optional(
            "methods",
            TEXTS,
            "Methods that pages may use; the app's `methods` if absent, or the usual ones.",
        ),
        optional("headers", TEXTS, "Header fields that pages may send; whichever they ask for if absent."),
        optional("expose", TEXTS, "Header fields of answers that pages may read, beside those of refusals."),
        default("max-age", Literal::Text("10m"), DURATION, "For how long browsers remember what is allowed."),
        default(
            "credentials",
            Literal::Bool(false),
            Shape::Bool,
            "Whether pages may read what requests with the user's cookies bring.",
        ),
        default(
            "preflight",
            Literal::Text("answer"),
            Shape::Word(&["answer", "pass"]),
            "Whether Portcullis answers their preflights, or the app does, which is told of nobody then.",
        ),
    ],
};

pub(crate) static REDIRECT: Table = Table {
    title: "redirect",
    keys: &[
        required("to", Shape::Text(Form::Url), "An https URL, or one of this machine."),
        default(
            "status",
            Literal::Integer(302),
            Shape::Integer { min: 301, max: 308 },
            "301, 302, 303, 307 or 308; with 307 and 308 a form is sent again.",
        ),
        default(
            "keep-path",
            Literal::Bool(false),
            Shape::Bool,
            "Whether the path follows, as `prefix-rewrite` makes it.",
        ),
        default("keep-query", Literal::Bool(false), Shape::Bool, "Whether the query follows."),
    ],
};

pub(crate) static RESPOND: Table = Table {
    title: "respond",
    keys: &[
        default("status", Literal::Integer(200), Shape::Integer { min: 200, max: 599 }, "The status."),
        default("body", Literal::Text(""), TEXT, "The body, at most 64 KiB."),
        default("content-type", Literal::Text("text/plain; charset=utf-8"), TEXT, "The type of the body."),
    ],
};

pub(crate) static MAINTENANCE: Table = Table {
    title: "maintenance",
    keys: &[default(
        "retry-after",
        Literal::Text("10m"),
        DURATION,
        "How long clients are asked to wait before they look again; `24h` at most.",
    )],
};

pub(crate) static FIELDS: Table = Table {
    title: "header fields",
    keys: &[
        optional(
            "set",
            Shape::Map(&FIELD_VALUE),
            "Names and values, in place of what was sent; `{ file = \"FILE\" }` for a secret.",
        ),
        optional("remove", TEXTS, "Names."),
    ],
};

static FIELD_VALUE: Shape = Shape::Either(&[TEXT, Shape::Table(&SECRET)]);

static ATTRIBUTE: Shape = Shape::Either(&[TEXT, Shape::Bool, Shape::Number, TEXTS]);

pub(crate) static UPSTREAM: Table = Table {
    title: "an upstream",
    keys: &[
        required(
            "url",
            Shape::Text(Form::Url),
            "`http://host:port`, `https://host:port`, or `unix:/path` for a socket of this machine.",
        ),
        default(
            "weight",
            Literal::Integer(1),
            Shape::Integer { min: 0, max: 1_000 },
            "Its share of the requests beside the others' weights; with 0 it takes only requests whose sticky cookie names it.",
        ),
        default(
            "protocol",
            Literal::Text("http/1.1"),
            Shape::Word(&UpstreamProtocol::WORDS),
            "What it speaks: `h2` is HTTP/2 alone, without TLS too; `auto` is what it chooses in the handshake of TLS.",
        ),
        optional(
            "tls-name",
            Shape::Text(Form::Host),
            "The name that its certificate must carry; the host of the URL if absent.",
        ),
        optional(
            "ca",
            Shape::Text(Form::Path),
            "A PEM file with the authorities that its certificate must come from; the app's `upstream-ca` if absent.",
        ),
        optional(
            "client-certificate",
            Shape::Text(Form::Path),
            "A PEM file with the certificate chain that Portcullis shows to it; none if absent.",
        ),
        optional(
            "client-key",
            Shape::Text(Form::Path),
            "A PEM file with the private key of `client-certificate`.",
        ),
    ],
};

pub(crate) static ASSIGNED: Table = Table {
    title: "assigned",
    keys: &[
        optional("users", TEXTS, "User ids."),
        optional("groups", TEXTS, "Group ids."),
        optional("roles", TEXTS, "Directory role ids."),
    ],
};

pub(crate) static TOKEN: Table = Table {
    title: "token",
    keys: &[
        default("bearer", Literal::Bool(true), Shape::Bool, "`Authorization: Bearer`."),
        optional("cookie", TEXT, "A cookie of this name."),
        optional("header", TEXT, "A header of this name."),
    ],
};

pub(crate) static BALANCE: Table = Table {
    title: "balance",
    keys: &[
        default(
            "policy",
            Literal::Text("round-robin"),
            Shape::Word(&BalancePolicy::WORDS),
            "Each in turn, the one with the fewest requests under way, the one that `hash-by` falls to, or the one that a cookie names.",
        ),
        optional(
            "hash-by",
            TEXT,
            "For `consistent-hash`: `principal` (the user or program), `address`, `cookie:NAME` or `header:NAME`.",
        ),
        optional(
            "cookie-life",
            DURATION,
            "For `sticky`: how long browsers keep the cookie; until they are closed if absent.",
        ),
    ],
};

pub(crate) static RETRIES: Table = Table {
    title: "retries",
    keys: &[
        default(
            "attempts",
            Literal::Integer(3),
            Shape::Integer { min: 1, max: 8 },
            "How often a request is sent at most, the first time among them.",
        ),
        default(
            "budget-percent",
            Literal::Integer(20),
            Shape::Integer { min: 0, max: 100 },
            "How many retries there may be for a hundred requests of the app; 30 in ten seconds there may always be, unless it is 0.",
        ),
    ],
};

pub(crate) static TIMEOUTS: Table = Table {
    title: "timeouts",
    keys: &[
        default("connect", Literal::Text("2s"), DURATION, "To connect."),
        default(
            "first-byte",
            Literal::Text("60s"),
            DURATION,
            "From the last that the server took of the request to the head of its answer.",
        ),
        default("read", Literal::Text("60s"), DURATION, "Between two reads."),
        default("write", Literal::Text("60s"), DURATION, "Between two writes."),
        default(
            "stream-idle",
            Literal::Text("5m"),
            DURATION,
            "How long a WebSocket, a stream of events or of gRPC may stay silent in both directions.",
        ),
        default("idle", Literal::Text("60s"), DURATION, "How long an idle upstream connection stays open."),
        optional(
            "total",
            DURATION,
            "How long a request may take altogether, streams apart; as long as it likes if absent.",
        ),
    ],
};

pub(crate) static HEALTH: Table = Table {
    title: "[app.health]",
    keys: &[
        optional(
            "check",
            Shape::Table(&HEALTH_CHECK),
            "What each address is asked at intervals; nothing if absent.",
        ),
        default(
            "failures",
            Literal::Integer(3),
            Shape::Integer { min: 1, max: 1_000 },
            "Requests in a row without an answer, after which an address is left out; 1 is enough where it takes no connection.",
        ),
        default(
            "eject-for",
            Literal::Text("5s"),
            DURATION,
            "How long it is left out at first; then one request tries it, and it is left out for twice as long if that fails.",
        ),
        default("eject-max", Literal::Text("5m"), DURATION, "How long it is left out at most."),
        default(
            "panic-percent",
            Literal::Integer(0),
            Shape::Integer { min: 0, max: 100 },
            "With fewer addresses up than so many percent of all, all get requests, the bad ones too; with none up they do whatever this says.",
        ),
    ],
};

pub(crate) static HEALTH_CHECK: Table = Table {
    title: "[app.health.check]",
    keys: &[
        required("path", TEXT, "Path and query that it is asked for."),
        optional(
            "host",
            Shape::Text(Form::Host),
            "The host that it is asked for; the first of `hosts` without `*` if absent.",
        ),
        default("method", Literal::Text("GET"), Shape::Word(&CheckMethod::WORDS), "How it is asked."),
        default(
            "expect",
            Literal::Texts(&["2xx"]),
            TEXTS,
            "Statuses that are good: `200`, `2xx`, `200-399`.",
        ),
        default(
            "interval",
            Literal::Text("10s"),
            DURATION,
            "From one check to the next, a tenth more or less by chance.",
        ),
        default(
            "timeout",
            Literal::Text("2s"),
            DURATION,
            "How long a check may take, connecting included; shorter than `interval`.",
        ),
        default(
            "healthy",
            Literal::Integer(2),
            Shape::Integer { min: 1, max: 100 },
            "Checks in a row that must pass, until it gets requests again.",
        ),
        default(
            "unhealthy",
            Literal::Integer(3),
            Shape::Integer { min: 1, max: 100 },
            "Checks in a row that must fail, until it is left out; 1 of an address that was never checked, which is up until then.",
        ),
    ],
};

pub(crate) static DNS: Table = Table {
    title: "[dns]",
    keys: &[
        optional(
            "servers",
            Shape::List(&Shape::Text(Form::SocketAddress)),
            "DNS servers, `address:port`; those of `/etc/resolv.conf` if absent. `/etc/hosts` comes first either way.",
        ),
        default("timeout", Literal::Text("5s"), DURATION, "The longest that one look-up may take."),
        default(
            "ttl-min",
            Literal::Text("5s"),
            DURATION,
            "For how long an answer counts at least, and after how long a look-up that failed is done again.",
        ),
        default("ttl-max", Literal::Text("5m"), DURATION, "For how long an answer counts at most."),
        default(
            "hold",
            Literal::Text("30s"),
            DURATION,
            "For how long a name must be said not to exist, or to have no address, until its former addresses are given up. While look-ups fail otherwise they stay.",
        ),
    ],
};

pub(crate) static APP_CONTEXT: Table = Table {
    title: "a context of an app",
    keys: &[
        required("path", TEXT, "Path prefix within the host."),
        required("context", Shape::Text(Form::Context), "`c1` to `c99`."),
    ],
};

pub(crate) static GEO: Table = Table {
    title: "[geo]",
    keys: &[
        required("database", Shape::Text(Form::Path), "An MMDB file."),
        default(
            "country-path",
            Literal::Text("country.iso_code"),
            TEXT,
            "Path to the ISO code within a record.",
        ),
    ],
};

pub(crate) static DENIAL: Table = Table {
    title: "[denial]",
    keys: &[
        default("installation", Literal::Text("Portcullis"), TEXT, "Who decides, on the page."),
        default("disclosure", Literal::Text("standard"), DISCLOSURE, "How much is shown."),
        default(
            "full-to",
            Literal::Text("everybody"),
            Shape::Word(&FullTo::WORDS),
            "Who is shown as much as `full` allows; others get `standard`.",
        ),
        default(
            "language",
            Literal::Text("en"),
            Shape::Word(LANGUAGES),
            "Language for who asks for none that there is.",
        ),
        optional("contact-mail", TEXT, "Help desk's mail address."),
        optional("contact-url", Shape::Text(Form::Url), "Help desk's page."),
        optional("remediation-url", Shape::Text(Form::Url), "Where a device is made compliant."),
        optional("accent", Shape::Text(Form::Colour), "Accent colour, `#rrggbb`."),
        optional("logo", Shape::Text(Form::Path), "PNG, JPEG or WebP file, at most 32KiB."),
        optional(
            "template",
            Shape::Text(Form::Path),
            "An HTML page of your own, with holes like `{{headline}}`.",
        ),
        optional(
            "support-keys",
            Shape::List(&Shape::Text(Form::Path)),
            "Files with 32 random bytes in base64 that seal support codes: the first seals, each opens.",
        ),
    ],
};

pub(crate) static EVIDENCE: Table = Table {
    title: "[evidence]",
    keys: &[
        default(
            "mfa-methods",
            Literal::Texts(&Evidence::MFA_METHODS),
            TEXTS,
            "`amr` values that prove multifactor authentication.",
        ),
        optional("mfa-acrs", TEXTS, "`acr` values that prove multifactor authentication."),
        optional(
            "mfa-contexts",
            CONTEXTS,
            "Authentication contexts (`acrs`) that prove multifactor authentication: the issuer grants them to nobody without.",
        ),
        optional(
            "contexts-satisfy",
            Shape::Bool,
            "Whether a context in a token's `acrs` meets the policies that target it; if absent, for issuers whose URL ends in `/v2.0`.",
        ),
        optional("approved-clients", TEXTS, "Client ids of approved client apps."),
        optional("protected-clients", TEXTS, "Client ids of apps under an app protection policy."),
    ],
};

pub(crate) static INSECURE: Table = Table {
    title: "[insecure-options]",
    keys: &[
        default(
            "public-admin",
            Literal::Bool(false),
            Shape::Bool,
            "Lets `server.admin` be more than loopback.",
        ),
        default(
            "trust-any-proxy",
            Literal::Bool(false),
            Shape::Bool,
            "Lets every peer name the client's address.",
        ),
    ],
};

pub(crate) static LOCATION: Table = Table {
    title: "[[location]]",
    keys: &[
        required("name", TEXT, "How policies refer to it."),
        optional("networks", NETWORKS, "IPv4 and IPv6 networks; either these or `countries`."),
        optional("trusted", Shape::Bool, "Whether `all-trusted` includes it; with `networks` only."),
        optional("countries", Shape::List(&Shape::Text(Form::Country)), "ISO 3166-1 alpha-2 codes."),
        optional(
            "include-unknown",
            Shape::Bool,
            "Whether addresses of no known country count; with `countries` only.",
        ),
    ],
};

pub(crate) static STRENGTH: Table = Table {
    title: "[[strength]]",
    keys: &[
        required("name", TEXT, "How controls refer to it."),
        optional(
            "combinations",
            Shape::List(&TEXTS),
            "Each list is a combination of `amr` methods that is enough.",
        ),
        optional("acrs", TEXTS, "`acr` values that are enough."),
        optional("contexts", CONTEXTS, "Authentication contexts (`acrs`) of which one is enough."),
    ],
};
