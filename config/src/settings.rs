//! A checked configuration: what the proxy runs on. Every value is parsed, every reference holds.

mod limits;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use portcullis_policy::PolicySet;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::path::{Compare, PathCase, PathForms, is_below};
use portcullis_policy::signals::{DeviceAttribute, IssuerEvidence};
use portcullis_policy::words;

pub use limits::{Limits, Rate};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Process-wide settings; a change of these needs a restart.
    pub server: Server,
    /// Networks whose peers may tell the client's address by header. Empty: nobody.
    pub trusted_proxies: TrustedProxies,
    /// Token issuers.
    pub issuers: Vec<Issuer>,
    /// Applications, in the order of `policies.apps`: `apps[i]` is `AppIndex(i)`.
    pub apps: Vec<App>,
    /// The country database.
    pub geo: Option<Geo>,
    /// Denial page and branding.
    pub denial: Denial,
    /// Apps, locations, strengths, evidence and policies for the engine.
    pub policies: PolicySet,
    /// Every file that was read, to be watched.
    pub files: Vec<PathBuf>,
}

/// Process-wide settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Public listeners; at least one.
    pub listeners: Vec<Listener>,
    /// Where metrics and health answer; never on a public listener.
    pub admin: SocketAddr,
    /// Worker threads; `None` is one per core.
    pub threads: Option<usize>,
    /// How long requests under way may take after a stop was asked for.
    pub grace: Duration,
    /// Where a successor asks for the listening sockets.
    pub upgrade_socket: PathBuf,
    /// File with the process id.
    pub pid_file: PathBuf,
    /// How long a client connection is kept that asks nothing, or takes nothing of an answer.
    pub client_idle: Duration,
    /// Idle upstream connections kept.
    pub upstream_pool: usize,
    /// Largest request body, in bytes, of apps that say nothing.
    pub body_bytes_max: u64,
    /// What no address may exceed.
    pub limits: Limits,
    /// Where decisions are logged.
    pub decision_log: DecisionLog,
    /// How the decision log names people.
    pub decision_subject: Subject,
    /// How the process' own messages are written.
    pub process_log: ProcessLog,
}

words! {
    /// How the process' own messages are written to standard error.
    pub enum ProcessLog {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// How the decision log names the person or program that asked.
    pub enum Subject {
        /// By id, in clear text.
        Clear = "clear",
        /// By a keyed hash of the id: the same person has the same hash, and nobody without the key
        /// can tell who it is.
        Hashed = "hashed",
        /// Not at all.
        None = "none",
    }
}

/// Which decisions are logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionLog {
    /// Where they go.
    pub sink: LogSink,
    /// One in so many requests that were let in is logged too; `None` is none of them. At least 1.
    pub grants_one_in: Option<u32>,
    /// The access log beside it; `None` is none.
    pub access: Option<AccessLog>,
}

/// Where each request is logged as web servers do, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub sink: LogSink,
    /// How they are written.
    pub format: AccessFormat,
}

words! {
    /// How a line of the access log is written.
    pub enum AccessFormat {
        /// One JSON object.
        Json = "json",
        /// The combined format of Apache and nginx.
        Combined = "combined",
    }
}

/// Where the decision log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File {
        /// The file.
        path: PathBuf,
        /// At this size a new one is begun; `None` is never.
        bytes_max: Option<u64>,
        /// How many full ones are kept, as `NAME.1` (the newest) to `NAME.KEEP`.
        keep: u32,
    },
    /// To a syslog daemon.
    Syslog(SyslogTarget),
}

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A datagram socket on this machine, such as `/dev/log`.
    Socket(PathBuf),
    /// RFC 5424 over UDP.
    Udp(SocketAddr),
}

/// A public listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificates and keys; `None` is plain HTTP.
    pub tls: Option<ListenerTls>,
    /// The port that clients connect to, where it is another than that of `address`.
    pub public_port: Option<u16>,
    /// Whether requests are sent to https, and none is let in. Of plain listeners alone.
    pub redirect_to_https: bool,
    /// For how long browsers come by https alone; an app may say otherwise for its hosts.
    pub hsts: Option<Hsts>,
}

/// What a listener serves TLS with.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Certificates with their keys; at least one. The first serves names that none is for.
    pub pairs: Vec<CertificatePair>,
    /// Keys that seal session tickets: the first seals, each opens. Empty: keys of the process alone.
    pub ticket_keys: Vec<TicketKey>,
}

/// Certificate chain and private key, as PEM files that were seen to be readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePair {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What session tickets are sealed with.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey(pub [u8; 80]);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

/// HTTP Strict Transport Security (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long browsers remember it.
    pub max_age: Duration,
    /// Whether it holds for names below the host.
    pub include_subdomains: bool,
}

words! {
    /// Whether an app's clients must show a certificate.
    pub enum ClientDemand {
        /// Nobody without a good one is let in.
        Required = "required",
        /// It is asked for, and must be good where there is one.
        Optional = "optional",
    }
}

/// Which client certificates an app takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether there must be one.
    pub demand: ClientDemand,
    /// Where they must come from; at least one.
    pub authorities: Vec<Authorities>,
    /// What was revoked. Empty: revocation is not looked at.
    pub revocations: Vec<RevocationLists>,
}

/// Certificate revocation lists of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationLists {
    /// The file.
    pub file: PathBuf,
    /// Its lists, in DER; at least one.
    pub lists: Vec<Vec<u8>>,
}

/// Who may tell the client's address, and how.
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    /// Networks of trusted peers.
    pub networks: Vec<IpNet>,
    /// The header they use.
    pub header: ForwardedHeader,
}

words! {
    /// The header that tells the client's address.
    pub enum ForwardedHeader {
        /// `X-Forwarded-For`
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded`, RFC 7239
        Forwarded = "forwarded",
    }
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its short name in metrics and logs.
    pub name: String,
    /// The exact `iss`.
    pub issuer: String,
    /// Accepted `aud` values; at least one.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms (`RS256`, `ES256`, …); asymmetric only; at least one.
    pub algorithms: Vec<String>,
    /// Accepted `typ` header values, lower case; a token without `typ` is accepted as `jwt`.
    pub types: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
    /// Whose certificates count for its key source; the system's authorities if `None`.
    pub ca: Option<Authorities>,
    /// Clock difference that is forgiven; at most 30 s.
    pub leeway: Duration,
    /// The longest that a token may have been issued ago; `None` is no limit beyond `exp`.
    pub max_age: Option<Duration>,
    /// How often keys are fetched anew.
    pub refresh: Duration,
    /// The least time between two fetches for an unknown `kid`.
    pub refresh_min: Duration,
    /// How long the last good keys are used while the source does not answer.
    pub stale_max: Duration,
    /// Which claims say what.
    pub claims: Claims,
    /// What its word is good for.
    pub evidence: IssuerEvidence,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS document at this URL (https, or http on loopback).
    Url(String),
    /// OpenID Connect discovery: `{issuer}/.well-known/openid-configuration` at this URL.
    Discovery(String),
}

/// What stands before each name of a way to a claim; no name that is configured holds it.
const WAY: char = '\0';

/// The way to a claim, name by name, as one text. Dots in these names are dots.
#[must_use]
pub fn claim_way(names: &[&str]) -> String {
    names.iter().flat_map(|name| [WAY].into_iter().chain(name.chars())).collect()
}

/// The names of a way, if a claim's name is one; see [`claim_way`].
#[must_use]
pub fn way_of(claim: &str) -> Option<impl Iterator<Item = &str>> {
    claim.strip_prefix(WAY).map(|names| names.split(WAY))
}

/// A claim's name as rules and identity headers say it: the names of a way with dots between.
#[must_use]
pub fn claim_label(claim: &str) -> String {
    way_of(claim).map_or_else(|| claim.to_owned(), |names| names.collect::<Vec<_>>().join("."))
}

/// Names of claims. A dotted name walks into objects; a literal name with dots or slashes is tried
/// first. A way written as a list is one text, too: see [`claim_way`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id; policies name users by it.
    pub user_id: String,
    /// The name shown on the page.
    pub user_name: String,
    /// Groups.
    pub groups: String,
    /// Directory roles.
    pub roles: String,
    /// What stands between groups, or roles, where a token tells them as one text. `None`: a text that could hold
    /// several cannot be read.
    pub list_separator: Option<ListSeparator>,
    /// Authentication methods.
    pub methods: String,
    /// Authentication context class.
    pub acr: String,
    /// Satisfied authentication contexts.
    pub contexts: String,
    /// Time of the sign-in.
    pub auth_time: String,
    /// Device id: its presence makes a device registered.
    pub device_id: String,
    /// Whether the device is compliant (boolean or `"true"`).
    pub device_compliant: String,
    /// The device's join type.
    pub device_trust_type: String,
    /// The device's operating system.
    pub device_os: String,
    /// The device's operating system version.
    pub device_os_version: String,
    /// Sign-in risk.
    pub sign_in_risk: Option<String>,
    /// User risk.
    pub user_risk: Option<String>,
    /// Insider risk.
    pub insider_risk: Option<String>,
    /// Service principal risk.
    pub service_principal_risk: Option<String>,
    /// When the user's risk was seen; a later password change answers it.
    pub risk_seen: Option<String>,
    /// The authentication flow: `deviceCodeFlow` or `authenticationTransfer`, as Graph writes them.
    pub flow: Option<String>,
    /// How a user is external, in Graph's words; `acct` and `userType` tell of B2B guests without it.
    pub guest_kind: Option<String>,
    /// The tenant that a user comes from.
    pub home_tenant: Option<String>,
    /// Attributes of the device that have no key of their own, each with the claim that tells it.
    pub device_attributes: Vec<(DeviceAttribute, String)>,
    /// Terms of use that were accepted.
    pub terms: Option<String>,
    /// External controls that were satisfied.
    pub custom_controls: Option<String>,
    /// Time of the last password change.
    pub password_changed: Option<String>,
    /// Further claims that rules may ask for as `user.NAME`.
    pub extra: Vec<String>,
}

words! {
    /// What stands between the items of a list that is written as one text.
    pub enum ListSeparator {
        /// `,`
        Comma = "comma",
        /// `;`
        Semicolon = "semicolon",
        /// A space.
        Space = "space",
    }
}

/// A protected application: how it is reached. Who may open it is in `policies.apps`.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id.
    pub id: String,
    /// The name on the page.
    pub name: String,
    /// Host names, lower case, without port; at least one.
    pub hosts: Vec<String>,
    /// The path prefix in normal form, starting and not ending with `/`; `/` alone is everything.
    pub path_prefix: String,
    /// Parts of the app that ask for an authentication context: path prefix and context.
    pub contexts: Vec<(String, AuthenticationContext)>,
    /// How it takes the letter case of paths.
    pub paths: PathCase,
    /// Forms of paths that may reach it.
    pub allow_paths: PathForms,
    /// Upstreams, tried in turn; at least one.
    pub upstreams: Vec<Upstream>,
    /// Where the token is looked for.
    pub token: TokenPlaces,
    /// Issuers whose tokens are accepted, as positions in `Config::issuers`; at least one.
    pub issuers: Vec<usize>,
    /// Audiences of which a token must have one; `None` is any that its issuer is accepted with.
    pub audiences: Option<Vec<String>>,
    /// Where a browser without a token can sign in.
    pub sign_in_url: Option<String>,
    /// Identity headers for the app: name and what it carries.
    pub identity_headers: Vec<(String, IdentityValue)>,
    /// Whether an `Authorization` header that was verified reaches the app.
    pub forward_authorization: bool,
    /// Reserved headers that reach the app as any client sends them, lower case; see
    /// [`reserved`](crate::reserved).
    pub allow_headers: Vec<String>,
    /// Methods that are accepted; empty is any.
    pub methods: Vec<String>,
    /// Whether WebSocket upgrades pass.
    pub websocket: bool,
    /// Origins beside the app's own hosts whose pages may open a WebSocket with the user's cookie:
    /// `https://host` or `https://host:port`, lower case.
    pub allowed_origins: Vec<String>,
    /// Upstream timeouts.
    pub timeouts: Timeouts,
    /// Largest request body, in bytes; that of the server if `None`.
    pub body_bytes_max: Option<u64>,
    /// The least that a client must send of a body, in bytes a second; 0 is no least.
    pub body_rate_min: u64,
    /// Requests of one address; `None` is without limit.
    pub rate: Option<Rate>,
    /// Requests of one person or program; `None` is without limit.
    pub rate_per_principal: Option<Rate>,
    /// Which certificates its clients must show; `None` does not ask for any.
    pub client_certificates: Option<ClientCertificates>,
    /// For how long browsers come by https alone; as the listener says if `None`.
    pub hsts: Option<Hsts>,
}

/// The context that a path asks for: of the longest prefix that covers it. No allocation.
#[must_use]
pub fn context_of(
    contexts: &[(String, AuthenticationContext)],
    path: &str,
    compare: Compare,
) -> Option<AuthenticationContext> {
    let depth = |prefix: &str| prefix.bytes().filter(|byte| *byte == b'/').count();
    let covers = contexts.iter().filter(|(prefix, _)| is_below(path, prefix, compare));
    covers.max_by_key(|(prefix, _)| depth(prefix)).map(|(_, context)| *context)
}

impl App {
    /// The contexts that a path may ask for. Two where they turn on letter case, and nobody said how the app
    /// takes it: the request is then judged under both.
    #[must_use]
    pub fn contexts_of(
        &self,
        path: &str,
    ) -> (Option<AuthenticationContext>, Option<Option<AuthenticationContext>>) {
        contexts_of(&self.contexts, self.paths, path)
    }
}

/// The same for these contexts of an app that takes letter case so.
#[must_use]
pub fn contexts_of(
    contexts: &[(String, AuthenticationContext)],
    case: PathCase,
    path: &str,
) -> (Option<AuthenticationContext>, Option<Option<AuthenticationContext>>) {
    if contexts.is_empty() {
        return (None, None);
    }
    let context = context_of(contexts, path, case.stricter());
    let other = match case {
        PathCase::Unknown => Some(context_of(contexts, path, Compare::Exact)),
        PathCase::Sensitive | PathCase::Insensitive => None,
    };
    (context, other.filter(|other| *other != context))
}

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Server name to verify; `None` is plain HTTP, and a TLS upstream always has one.
    pub tls_name: Option<String>,
    /// Whose certificates count; the system's authorities if `None`.
    pub ca: Option<Authorities>,
}

/// Certificate authorities of a file; nobody else's certificates count beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The file.
    pub file: PathBuf,
    /// Its certificates, in DER; at least one.
    pub certificates: Vec<Vec<u8>>,
}

/// Where the token is looked for, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlaces {
    /// `Authorization: Bearer`.
    pub bearer: bool,
    /// A cookie of this name; it never reaches the app.
    pub cookie: Option<String>,
    /// A header of this name; it never reaches the app.
    pub header: Option<String>,
}

/// What an identity header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityValue {
    /// The user's id.
    UserId,
    /// The user's display name.
    UserName,
    /// Group ids, joined with commas.
    Groups,
    /// The device id.
    DeviceId,
    /// A claim of this name, if it is among the extra claims.
    Claim(String),
}

/// Upstream timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// Between two reads.
    pub read: Duration,
    /// Between two writes.
    pub write: Duration,
    /// How long an idle upstream connection is kept.
    pub idle: Duration,
}

/// The country database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    /// MMDB file.
    pub database: PathBuf,
    /// Path to the ISO code within a record, such as `country.iso_code`.
    pub country_path: Vec<String>,
}

/// Denial page and branding.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who decides: the installation's name on the page.
    pub installation: String,
    /// How much is shown, where neither app nor policy says otherwise.
    pub disclosure: Disclosure,
    /// Who is told as much as [`Disclosure::Full`] allows; others get the standard.
    pub full_to: FullTo,
    /// The language of those who ask for none that we have, one of [`LANGUAGES`].
    pub language: &'static str,
    /// Help desk's mail address.
    pub contact_mail: Option<String>,
    /// Help desk's page.
    pub contact_url: Option<String>,
    /// Where a device is made compliant.
    pub remediation_url: Option<String>,
    /// Accent colour, `#rrggbb`.
    pub accent: Option<String>,
    /// Logo as `data:image/…` URI.
    pub logo: Option<String>,
    /// The operator's own page, checked: its holes are known, the required ones are there, and it
    /// loads and runs nothing.
    pub template: Option<String>,
    /// Keys that seal support codes: the first seals, each opens. Empty: no support codes.
    pub support_keys: Vec<SupportKey>,
    /// What each app adds, in the order of `Config::apps`.
    pub apps: Vec<AppDenial>,
    /// What each policy adds, in the order of `PolicySet::policies`.
    pub policies: Vec<PolicyDenial>,
}

/// What an app says about its denials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppDenial {
    /// How much is shown.
    pub disclosure: Option<Disclosure>,
    /// The language of those who ask for none that we have.
    pub language: Option<&'static str>,
}

/// What a policy says about the denials that it causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyDenial {
    /// How much is shown.
    pub disclosure: Option<Disclosure>,
    /// The operator's words to the user; shown at full disclosure only.
    pub message: Option<String>,
}

words! {
    /// How much a denial shows; a stricter one is less.
    pub enum Disclosure {
        /// Code and request id.
        Minimal = "minimal",
        /// Also the user's own facts and what the user can do.
        Standard = "standard",
        /// Also operator texts.
        Full = "full",
    }
}

words! {
    /// Who is told as much as full disclosure allows.
    pub enum FullTo {
        /// Everybody with a valid token.
        Everybody = "everybody",
        /// Who comes on a device that is compliant or hybrid joined: a stolen token alone does not.
        ManagedDevices = "managed-devices",
    }
}

/// Languages of the denial page, as BCP 47 tags.
pub const LANGUAGES: &[&str] = &["en", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pt-BR", "zh-Hans"];

/// Holes of the denial page's template, and whether a template must have it.
///
/// `lang` and `dir` may stand in attribute values; all others in text.
pub const TEMPLATE_HOLES: &[(&str, bool)] = &[
    ("lang", true),
    ("dir", true),
    ("title", true),
    ("style", false),
    ("script", false),
    ("brand", false),
    ("headline", true),
    ("lead", true),
    ("verdict", true),
    ("message", true),
    ("remedies", true),
    ("actions", true),
    ("reasons", true),
    ("details", true),
    ("report", true),
    ("languages", false),
];

/// A key of 256 bits that seals support codes.
#[derive(Clone, PartialEq, Eq)]
pub struct SupportKey(pub [u8; 32]);

impl std::fmt::Debug for SupportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SupportKey(…)")
    }
}

impl Server {
    /// Those settings that only a restart can change; equal before and after a reload that needs
    /// none.
    #[must_use]
    pub fn restart_key(&self) -> String {
        let logs = (&self.decision_log, self.process_log);
        let files = (&self.pid_file, &self.upgrade_socket);
        // HTTP/1 takes a changed `client-idle` at once, HTTP/2 does not.
        let process = (self.threads, self.upstream_pool, self.grace, self.client_idle, files);
        // Certificates, and what else a listener says, serve at once.
        let addresses: Vec<_> = self.listeners.iter().map(|listener| listener.address).collect();
        format!("{:?}", (addresses, self.admin, process, logs))
    }
}
