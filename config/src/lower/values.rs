//! Strings of the format into values. Each problem says what is wrong and how to mend it; the
//! caller knows the place.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::schema::check::shortened;
use crate::settings::Rate;
use crate::vocabulary::countries;
use ipnet::IpNet;
use portcullis_policy::model::{AuthenticationContext, CountryCode, PathPattern, PolicyId};
use portcullis_policy::path::{PathForm, read_text};
use url::{Host, Url};

/// A string that is not what it should be.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) why: Option<&'static str>,
    pub(crate) help: Option<String>,
}

impl Flaw {
    pub(crate) fn new(code: &'static str, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: None, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) const fn why(mut self, why: &'static str) -> Self {
        self.why = Some(why);
        self
    }
}

/// Ten years: longer ones are slips of the keyboard.
const DURATION_SECS_MAX: u64 = 3_650 * 86_400;
const SIZE_MAX: u64 = 1 << 40;

/// `30s`, `5m`, `8h`, `30d`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, Flaw> {
    let flaw = || {
        Flaw::new("value/duration", format!("`{}` is no duration", shortened(text)))
            .help("write a whole number and a unit: `500ms`, `30s`, `5m`, `8h`, `30d`")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(flaw)?;
    let number: u64 = number.parse().map_err(|_| flaw())?;
    let (millis, secs) = match unit {
        "ms" => (true, 1),
        "s" => (false, 1),
        "m" => (false, 60),
        "h" => (false, 3_600),
        "d" => (false, 86_400),
        _ => return Err(flaw()),
    };
    let duration = if millis {
        Duration::from_millis(number)
    } else {
        Duration::from_secs(number.checked_mul(secs).ok_or_else(flaw)?)
    };
    if duration.is_zero() || duration > Duration::from_secs(DURATION_SECS_MAX) {
        let what = format!("`{}` is not between 1ms and 3650d", shortened(text));
        return Err(Flaw::new("value/duration", what).help("write a duration between these"));
    }
    Ok(duration)
}

/// How long ago something was: a duration, or `0s` for just now.
pub(crate) fn age(text: &str) -> Result<Duration, Flaw> {
    match text {
        "0ms" | "0s" | "0m" | "0h" | "0d" => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

/// `512B`, `64KiB`, `10MiB`, `1GiB`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, Flaw> {
    let flaw = || {
        Flaw::new("value/size", format!("`{}` is no size", shortened(text)))
            .help("write a whole number and a unit, at most 1024GiB: `512B`, `64KiB`, `10MiB`, `1GiB`")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(flaw)?;
    let number: u64 = number.parse().map_err(|_| flaw())?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(flaw()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes <= SIZE_MAX).ok_or_else(flaw)
}

/// More at once, or within a unit, is no limit.
const RATE_MAX: u32 = 1_000_000;
/// The longest that an empty bucket may take to be full again: what is counted is forgotten after that.
const REFILL_MAX: Duration = Duration::from_secs(86_400);

/// `100/s`, `1000/m`, `20/s burst 100`. Without a burst, all of the unit's may come at once.
pub(crate) fn rate(text: &str) -> Result<Rate, Flaw> {
    let flaw = || {
        Flaw::new("value/rate", format!("`{}` is no rate", shortened(text))).help(
            "write how many, 1 to 1000000, and a second, minute or hour: `100/s`, `1000/m`, `20/s burst 100`",
        )
    };
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_plain { text.parse::<u32>().ok() } else { None };
        number.filter(|number| (1..=RATE_MAX).contains(number)).ok_or_else(flaw)
    };
    let (rate, burst) = text.split_once(" burst ").map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let (count, unit) = rate.split_once('/').ok_or_else(flaw)?;
    let count = number(count)?;
    let per = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        _ => return Err(flaw()),
    };
    let burst = burst.map_or(Ok(count), number)?;
    if u64::from(burst) * per.as_secs() > REFILL_MAX.as_secs() * u64::from(count) {
        let what = format!("`{}` takes more than a day to allow its burst again", shortened(text));
        return Err(Flaw::new("value/rate", what).help("write a smaller burst or a larger rate"));
    }
    Ok(Rate { count, per, burst })
}

/// `1KiB/s`, in bytes a second.
pub(crate) fn byte_rate(text: &str) -> Result<u64, Flaw> {
    text.strip_suffix("/s").and_then(|bytes| size(bytes).ok()).ok_or_else(|| {
        Flaw::new("value/byte-rate", format!("`{}` is no rate of bytes", shortened(text)))
            .help("write a size for each second: `1KiB/s`; `0B/s` for no least")
    })
}

/// `127.0.0.1:8080`, `[::1]:8080`. Port 0 would be a different port at each start.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, Flaw> {
    let flaw = || {
        Flaw::new("value/address", format!("`{}` is no address with port", shortened(text)))
            .help("write `127.0.0.1:8080` or `[::1]:8080`")
    };
    let address: SocketAddr = text.parse().map_err(|_| flaw())?;
    if address.port() == 0 { Err(flaw()) } else { Ok(address) }
}

/// A network in CIDR notation without host bits, or a single address.
pub(crate) fn network(text: &str) -> Result<IpNet, Flaw> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| {
        Flaw::new("network/invalid", format!("`{}` is no network", shortened(text)))
            .help("write `10.1.0.0/16`, `2001:db8::/32` or a single address")
    })?;
    if network.trunc() != network {
        let what = format!("`{network}` has bits set beyond its prefix");
        return Err(Flaw::new("network/host-bits", what)
            .why("it is not clear whether one address or the whole network is meant")
            .help(format!(
                "write `{}` for the network or `{}` for the address",
                network.trunc(),
                network.addr()
            )));
    }
    Ok(unmapped(network))
}

/// An IPv4-mapped IPv6 address is the IPv4 address, so a network of such is an IPv4 network.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, prefix)| IpNet::new(IpAddr::V4(address), prefix).ok()).unwrap_or(network)
}

/// An assigned ISO 3166-1 alpha-2 code.
pub(crate) fn country(text: &str) -> Result<CountryCode, Flaw> {
    let flaw = || {
        let what = format!("`{}` is no country code", shortened(text));
        let help = match text.to_ascii_uppercase().as_str() {
            "UK" => "the United Kingdom is `GB`".to_owned(),
            "EL" => "Greece is `GR`".to_owned(),
            _ => "write two letters of ISO 3166-1, such as `DE`".to_owned(),
        };
        Flaw::new("country/unknown", what).why("no address would ever be in it").help(help)
    };
    let code = CountryCode::new(text).ok_or_else(flaw)?;
    countries::is_assigned(code.as_str()).then_some(code).ok_or_else(flaw)
}

/// An id of a policy, app or issuer.
pub(crate) fn id(text: &str) -> Result<PolicyId, Flaw> {
    PolicyId::new(text).map_err(|invalid| {
        Flaw::new("id/invalid", format!("`{}` is no id", shortened(text))).help(invalid.to_string())
    })
}

/// `c1` to `c99`.
pub(crate) fn context(text: &str) -> Result<AuthenticationContext, Flaw> {
    AuthenticationContext::new(text).ok_or_else(|| {
        Flaw::new("context/invalid", format!("`{}` is no authentication context", shortened(text)))
            .help("contexts are `c1` to `c99`")
    })
}

/// A host name without port, lower case.
pub(crate) fn host(text: &str) -> Result<String, Flaw> {
    let flaw = || {
        Flaw::new("host/invalid", format!("`{}` is no host name", shortened(text)))
            .help("write a name such as `wiki.example.com`, without scheme, port or path; `*` stands only for the whole first label of an app's host")
    };
    if text.is_empty()
        || text.len() > 253
        || text.contains(['*', '%', '/', '@', '_'])
        || text.ends_with('.')
        || text.starts_with('.')
        || text.contains("..")
    {
        return Err(flaw());
    }
    Host::parse(text).map(|host| host.to_string()).map_err(|_| flaw())
}

/// A host name, or all names with one more label in front: `*.corp.example`, as certificates write it (RFC 6125, section
/// 6.4.3).
pub(crate) fn host_or_wildcard(text: &str) -> Result<String, Flaw> {
    let Some(rest) = text.strip_prefix("*.") else { return host(text) };
    let is_name = !rest.starts_with('[') && rest.parse::<IpAddr>().is_err();
    let name = host(rest).ok().filter(|_| is_name).ok_or_else(|| {
        Flaw::new("host/invalid", format!("`{}` is no wildcard host", shortened(text)))
            .help("write `*.` and a name, such as `*.corp.example`; the star stands for one label")
    })?;
    Ok(format!("*.{name}"))
}

/// A URL for people's browsers or for keys: https, or http on loopback.
pub(crate) fn secure_url(text: &str) -> Result<Url, Flaw> {
    let url = Url::parse(text).map_err(|error| {
        Flaw::new("value/url", format!("`{}` is no URL: {error}", shortened(text))).help("write an https URL")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text is not repeated: it may hold a password.
        return Err(Flaw::new("value/url", "a URL here carries no user name or password")
            .help("write the URL without them"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(Flaw::new("value/url", format!("`{}` is neither https nor on loopback", shortened(text)))
            .why("what travels without TLS can be read and replaced on its way")
            .help("write an https URL")),
    }
}

/// The origin of pages, as browsers write it: scheme, host, and a port that is not the usual one.
pub(crate) fn origin(text: &str) -> Result<String, Flaw> {
    let url = secure_url(text)?;
    let origin = url.origin().ascii_serialization();
    if origin == text.to_ascii_lowercase() {
        Ok(origin)
    } else {
        Err(Flaw::new("value/url", format!("`{}` is no origin", shortened(text)))
            .why("it would equal no `Origin` header")
            .help(format!("write `{origin}`")))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A path prefix: starts with `/`, does not end with it unless it is `/` alone.
pub(crate) fn path_prefix(text: &str) -> Result<String, Flaw> {
    if text == "/" { Ok(text.to_owned()) } else { written_path(text, "") }
}

/// A path that a person wrote, in normal form, if a request could have it; `tail` is what stood behind it.
fn written_path(text: &str, tail: &str) -> Result<String, Flaw> {
    let whole = || format!("{}{tail}", shortened(text));
    let flaw = || {
        Flaw::new("path/pattern", format!("`{}` is no path that could match", whole()))
            .why("paths compare in normal form: without a query, empty, `.` or `..` segments, or a `/` at the end")
            .help("write `/admin` for one path, or `/admin/**` (where patterns are allowed) for all below it too; `?`, `#`, `%` and `*` of a name are `%3F`, `%23`, `%25` and `%2A`")
    };
    if text.len() > 1_024 {
        return Err(flaw());
    }
    if text.contains('*') {
        return Err(Flaw::new("path/pattern", format!("`{}` has a `*` within a path", whole()))
            .why("a star stands for nothing but all paths below one: in a final `/**`, where patterns are allowed")
            .help("write whole paths, or `/admin/**` for all below one; a `*` of a name is `%2A`"));
    }
    let name = text.trim_matches('/');
    if !name.is_empty() && !text.starts_with('/') {
        return Err(Flaw::new("path/pattern", format!("`{}` does not begin with `/`", whole()))
            .why("paths are written from the root of their host")
            .help(format!("write `/{}{tail}`", shortened(name))));
    }
    if !name.is_empty() && text.ends_with('/') {
        return Err(Flaw::new("path/pattern", format!("`{}` ends with `/`", whole()))
            .why("paths compare without a slash at their end")
            .help(format!("write `/{}{tail}`", shortened(name))));
    }
    let path = read_text(text).map_err(|_| flaw())?;
    if path.forms().contains(PathForm::DoubleSlash) { Err(flaw()) } else { Ok(path.written().to_owned()) }
}

/// `/admin` or `/admin/**`; `/**` is every path.
pub(crate) fn path_pattern(text: &str) -> Result<PathPattern, Flaw> {
    match text.strip_suffix("/**") {
        // The root without the slash at its end is the empty path.
        Some("") => Ok(PathPattern::Subtree(String::new())),
        Some(base) => Ok(PathPattern::Subtree(written_path(base, "/**")?)),
        None if text == "/" => Ok(PathPattern::Exact(text.to_owned())),
        None => Ok(PathPattern::Exact(written_path(text, "")?)),
    }
}

/// A name of a header, cookie or method: RFC 9110, `token`.
pub(crate) fn is_token(text: &str) -> bool {
    let extra = b"!#$%&'*+-.^_`|~";
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

/// A method, upper case.
pub(crate) fn method(text: &str) -> Result<String, Flaw> {
    let flaw = || {
        Flaw::new("method/invalid", format!("`{}` is no method", shortened(text)))
            .help("write upper-case methods such as `GET`; they compare exactly")
    };
    if !is_token(text) || text.bytes().any(|byte| byte.is_ascii_lowercase()) || text == "CONNECT" {
        return Err(flaw());
    }
    Ok(text.to_owned())
}
