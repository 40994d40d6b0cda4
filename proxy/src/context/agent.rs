//! User agent and client hints to platform and kind of client.
//!
//! All of it is chosen by the client: good enough to target a policy, never to satisfy one. Where hint
//! and user agent contradict each other the platform is unknown, which no named platform matches.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::DFA;
use portcullis_policy::model::{ClientAppType, Platform};
use portcullis_policy::signals::Fact;

/// What a part of a user agent is a sign of.
#[derive(Clone, Copy)]
enum Sign {
    WindowsPhone,
    IeMobile,
    WindowsCe,
    /// Televisions, sticks and phones of their own kind; most also say Linux or Android.
    OtherPlatform,
    /// Browsers of iOS, which say Macintosh when they ask for the desktop's page.
    IosBrowser,
    Android,
    Ios,
    Windows,
    MacOs,
    /// Apple's network library: macOS names the processor, iOS does not.
    CfNetwork,
    Darwin,
    Processor,
    Linux,
    SomeWindows,
    /// Desktop and mobile apps that say who they are; most also name a browser engine.
    App,
    BrowserEngine,
}

const SIGNS: &[(Sign, &[&str])] = &[
    (Sign::WindowsPhone, &["Windows Phone", "wds ", "XBLWP7"]),
    (Sign::IeMobile, &["IEMobile"]),
    (Sign::WindowsCe, &["Windows CE"]),
    (
        Sign::OtherPlatform,
        &[
            "CrOS",
            "X11; Windows",
            "Tizen",
            "Web0S",
            "webOS",
            "hpwOS",
            "KAIOS",
            "GoogleTV",
            "Apple TV",
            "HbbTV",
            "NetCast",
            "SMART-TV",
            "CrKey",
            "Sailfish",
            "Maemo",
            "MeeGo",
            "WeTab",
            "Kindle/",
            "FreeBSD",
            "Symbian",
            "BlackBerry",
            "PlayStation",
        ],
    ),
    (Sign::IosBrowser, &["CriOS/", "FxiOS/", "EdgiOS/", "Outlook-iOS"]),
    (Sign::Android, &["Android", "Adr ", "android mobile", "JUC", "Silk/"]),
    (Sign::Ios, &["iPhone", "iPad", "iPod", "CPU OS ", "iPh OS", "; iOS ", ";iOS ", "(iOS"]),
    (Sign::Windows, &["Windows NT", "Windows 9", "Win64", "Win32"]),
    (Sign::MacOs, &["Macintosh", "Mac OS X", "Mac_PowerPC", "os/macos"]),
    (Sign::CfNetwork, &["CFNetwork/"]),
    (Sign::Darwin, &["Darwin/"]),
    (Sign::Processor, &["(x86_64)", "(i386)", "(arm64)"]),
    (Sign::Linux, &["Linux", "X11; Ubuntu", "linux"]),
    (Sign::SomeWindows, &["Windows"]),
    (
        Sign::App,
        &[
            "Teams/",
            "Electron/",
            "Slack",
            "OneDrive",
            "Outlook",
            "Microsoft Office",
            "MSAL",
            "okhttp",
            "CFNetwork",
            "Dalvik/",
            "Dart/",
            "ZoomWebKit",
        ],
    ),
    (Sign::BrowserEngine, &["Gecko/", "AppleWebKit/", "Trident/", "Presto/", "MSIE "]),
];

/// Every part, found in one pass, with what each is a sign of. `None` is impossible: the parts are few and short.
static PARTS: LazyLock<Option<(DFA, Vec<Sign>)>> = LazyLock::new(|| {
    let parts = || SIGNS.iter().flat_map(|(sign, parts)| parts.iter().map(|part| (*sign, *part)));
    let automaton = DFA::new(parts().map(|(_, part)| part)).ok()?;
    Some((automaton, parts().map(|(sign, _)| sign).collect()))
});

/// The signs that a user agent has, a bit for each.
#[derive(Clone, Copy)]
struct Signs(u32);

impl Signs {
    fn of(agent: &[u8]) -> Self {
        let Some((automaton, signs)) = &*PARTS else { return Self(0) };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return Self(0) };
        let mut bits = 0;
        // Step by step: a search that reports where each part is would cost three times as much.
        for byte in agent {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_match(state) {
                let parts = (0..automaton.match_len(state)).map(|at| automaton.match_pattern(state, at));
                let found = parts.filter_map(|part| signs.get(part.as_usize()));
                bits = found.fold(bits, |bits, sign| bits | 1 << *sign as u32);
            }
        }
        Self(bits)
    }

    const fn has(self, sign: Sign) -> bool {
        self.0 & 1 << sign as u32 != 0
    }
}

/// The platform and the kind of client.
#[must_use]
pub fn classify(
    user_agent: Option<&[u8]>,
    hint: Option<&str>,
    path: &str,
) -> (Fact<Platform>, Fact<ClientAppType>) {
    let signs = user_agent.map_or(Signs(0), Signs::of);
    let by_agent = platform(signs);
    let by_hint = hint.map(hinted);
    let platform = match (by_hint, by_agent) {
        (None, None) | (Some(None), None) => Fact::Unknown,
        (None, Some(seen)) => Fact::Known(seen),
        (Some(Some(hinted)), None) => Fact::Known(hinted),
        (Some(Some(hinted)), Some(seen)) if hinted == seen => Fact::Known(hinted),
        (Some(_), Some(_)) => Fact::Unknown,
    };
    let client = if is_active_sync(path) {
        ClientAppType::ExchangeActiveSync
    } else {
        client(user_agent.unwrap_or_default(), signs)
    };
    (platform, Fact::Known(client))
}

fn is_active_sync(path: &str) -> bool {
    const PATH: &str = "/Microsoft-Server-ActiveSync";
    path.get(..PATH.len()).is_some_and(|head| head.eq_ignore_ascii_case(PATH))
}

/// `Sec-CH-UA-Platform`, a structured string (User-Agent Client Hints, section 3.8).
fn hinted(hint: &str) -> Option<Platform> {
    match structured_string(hint)?.as_ref() {
        "Android" => Some(Platform::Android),
        "iOS" => Some(Platform::Ios),
        "Windows" => Some(Platform::Windows),
        "macOS" => Some(Platform::MacOs),
        "Linux" => Some(Platform::Linux),
        _ => None,
    }
}

/// A string and its parameters, which say nothing here (RFC 9651, sections 4.2.3 and 4.2.5): what is between the
/// quotes, `None` when that is not all.
fn structured_string(text: &str) -> Option<Cow<'_, str>> {
    let inside = text.trim_matches(' ').strip_prefix('"')?;
    let mut unescaped = String::new();
    let mut chars = inside.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => {
                let rest = inside.get(at + 1..)?;
                if !rest.is_empty() && !rest.starts_with(';') {
                    return None;
                }
                let plain = inside.get(..at)?;
                return Some(if unescaped.len() == at { plain.into() } else { unescaped.into() });
            }
            (_, '\\') => match chars.next()? {
                (_, escaped @ ('"' | '\\')) => unescaped.push(escaped),
                _ => return None,
            },
            (_, char @ ' '..='~') => unescaped.push(char),
            _ => return None,
        }
    }
}

fn platform(signs: Signs) -> Option<Platform> {
    let has = |sign| signs.has(sign);
    // The order matters: Windows Phones claim Android, Androids claim Linux, iPhones claim Mac OS X.
    if has(Sign::WindowsPhone) || (has(Sign::IeMobile) && !has(Sign::WindowsCe)) {
        Some(Platform::WindowsPhone)
    } else if has(Sign::OtherPlatform) || has(Sign::WindowsCe) {
        None
    } else if has(Sign::IosBrowser) {
        Some(Platform::Ios)
    } else if has(Sign::Android) {
        Some(Platform::Android)
    } else if has(Sign::Ios) {
        Some(Platform::Ios)
    } else if has(Sign::Windows) {
        Some(Platform::Windows)
    } else if has(Sign::MacOs) {
        Some(Platform::MacOs)
    } else if has(Sign::CfNetwork) && has(Sign::Darwin) {
        Some(if has(Sign::Processor) { Platform::MacOs } else { Platform::Ios })
    } else if has(Sign::Linux) {
        Some(Platform::Linux)
    } else if has(Sign::SomeWindows) {
        Some(Platform::Windows)
    } else {
        None
    }
}

fn client(agent: &[u8], signs: Signs) -> ClientAppType {
    let begins =
        ["Mozilla/5.0", "Mozilla/4.0", "Opera/"].iter().any(|name| agent.starts_with(name.as_bytes()));
    if signs.has(Sign::App) {
        ClientAppType::MobileAndDesktop
    } else if begins && signs.has(Sign::BrowserEngine) {
        ClientAppType::Browser
    } else {
        ClientAppType::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

    #[test]
    fn a_hint_that_contradicts_the_user_agent_makes_the_platform_unknown() {
        assert_eq!(
            classify(Some(CHROME.as_bytes()), Some("\"Windows\""), "/").0,
            Fact::Known(Platform::Windows)
        );
        assert_eq!(classify(Some(CHROME.as_bytes()), Some("\"macOS\""), "/").0, Fact::Unknown);
        assert_eq!(classify(Some(CHROME.as_bytes()), Some("nonsense"), "/").0, Fact::Unknown);
        assert_eq!(classify(None, Some("\"Linux\""), "/").0, Fact::Known(Platform::Linux));
    }

    #[test]
    fn a_hint_is_a_structured_string_and_its_parameters_say_nothing() {
        for (text, expected) in [
            ("\"Linux\"", Some("Linux")),
            (" \"Linux\" ", Some("Linux")),
            ("\"Linux\";v=1;w=\"Windows\"", Some("Linux")),
            ("\"a\\\"b\\\\c\"", Some("a\"b\\c")),
            ("\"\"", Some("")),
            ("\"Li\\nux\"", None),
            ("\"Linux", None),
            ("\"Linux\"x", None),
            ("\"Linux\", \"Windows\"", None),
            ("Linux", None),
            ("", None),
            ("\"Lin\u{e9}x\"", None),
        ] {
            assert_eq!(structured_string(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_browser_and_no_known_app_is_other() {
        let kind = |agent: Option<&str>| classify(agent.map(str::as_bytes), None, "/").1;
        assert_eq!(kind(Some(CHROME)), Fact::Known(ClientAppType::Browser));
        assert_eq!(kind(Some("curl/8.5.0")), Fact::Known(ClientAppType::Other));
        assert_eq!(kind(None), Fact::Known(ClientAppType::Other));
        let teams = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Teams/24 Chrome/120 Electron/28 Safari/537.36";
        assert_eq!(kind(Some(teams)), Fact::Known(ClientAppType::MobileAndDesktop));
        assert_eq!(
            classify(Some(CHROME.as_bytes()), None, "/Microsoft-Server-ActiveSync").1,
            Fact::Known(ClientAppType::ExchangeActiveSync)
        );
    }

    /// What the community's name for an operating system is in ours; `None` is a platform that no
    /// policy can name.
    fn named(family: &str) -> Option<Platform> {
        match family {
            "iOS" => Some(Platform::Ios),
            "Android" => Some(Platform::Android),
            "Windows" => Some(Platform::Windows),
            "Mac OS X" | "Mac OS" => Some(Platform::MacOs),
            "Windows Phone" => Some(Platform::WindowsPhone),
            "Linux" | "Ubuntu" | "Debian" | "Fedora" | "Red Hat" | "CentOS" | "Gentoo" | "Mandriva"
            | "Slackware" | "Linux Mint" | "PCLinuxOS" | "Puppy" => Some(Platform::Linux),
            _ => None,
        }
    }

    /// A sample of the community's corpus: `tests/data/SOURCE.md` says where it is from.
    #[test]
    fn platforms_are_read_as_the_community_reads_them() {
        let (mut all, mut wrong) = (0_u32, Vec::new());
        for line in include_str!("../../tests/data/user-agents.tsv").lines() {
            let Some((family, agent)) = line.split_once('\t') else { continue };
            all += 1;
            let seen = platform(Signs::of(agent.as_bytes()));
            if seen != named(family) {
                wrong.push(format!("{family}: read as {seen:?}: {agent}"));
            }
        }
        assert!(all > 100, "only {all} cases");
        let share = 1.0 - wrong.len() as f64 / f64::from(all);
        assert!(share >= 0.97, "{share}: {wrong:#?}");
    }
}
