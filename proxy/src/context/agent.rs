//! User agent and client hints to platform and kind of client.
//!
//! All of it is chosen by the client: good enough to target a policy, never to satisfy one. Where hint
//! and user agent contradict each other the platform is unknown, which no named platform matches.

use portcullis_policy::model::{ClientAppType, Platform};
use portcullis_policy::signals::Fact;

/// Desktop and mobile apps that say who they are; most also name a browser engine.
const APPS: [&str; 12] = [
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
];

/// The platform and the kind of client.
#[must_use]
pub fn classify(
    user_agent: Option<&str>,
    hint: Option<&str>,
    path: &str,
) -> (Fact<Platform>, Fact<ClientAppType>) {
    let by_agent = user_agent.and_then(platform);
    let by_hint = hint.map(hinted);
    let platform = match (by_hint, by_agent) {
        (None, None) | (Some(None), None) => Fact::Unknown,
        (None, Some(seen)) => Fact::Known(seen),
        (Some(Some(told)), None) => Fact::Known(told),
        (Some(Some(told)), Some(seen)) if told == seen => Fact::Known(told),
        (Some(_), Some(_)) => Fact::Unknown,
    };
    (platform, Fact::Known(client(user_agent, path)))
}

/// `Sec-CH-UA-Platform`, a structured string (User-Agent Client Hints, section 3.8).
fn hinted(hint: &str) -> Option<Platform> {
    match hint.strip_prefix('"')?.strip_suffix('"')? {
        "Android" => Some(Platform::Android),
        "iOS" => Some(Platform::Ios),
        "Windows" => Some(Platform::Windows),
        "macOS" => Some(Platform::MacOs),
        "Linux" => Some(Platform::Linux),
        _ => None,
    }
}

fn platform(agent: &str) -> Option<Platform> {
    let has = |word: &str| memchr::memmem::find(agent.as_bytes(), word.as_bytes()).is_some();
    // The order matters: Windows Phones and Tizen claim Android, Androids claim Linux, iPhones claim Mac OS X.
    if has("Windows Phone") || has("IEMobile") {
        Some(Platform::WindowsPhone)
    } else if has("CrOS") || has("Tizen") || has("Web0S") || has("webOS") || has("KAIOS") {
        None
    } else if has("Android") {
        Some(Platform::Android)
    } else if has("iPhone") || has("iPad") || has("iPod") || has("CPU OS ") {
        Some(Platform::Ios)
    } else if has("Windows NT") || has("Windows 9") || has("Win64") || has("Win32") {
        Some(Platform::Windows)
    } else if has("Macintosh") || has("Mac OS X") || has("Mac_PowerPC") {
        Some(Platform::MacOs)
    } else if has("Linux") || has("X11; Ubuntu") {
        Some(Platform::Linux)
    } else if has("Windows") {
        Some(Platform::Windows)
    } else {
        None
    }
}

fn client(agent: Option<&str>, path: &str) -> ClientAppType {
    if path.get(..27).is_some_and(|head| head.eq_ignore_ascii_case("/Microsoft-Server-ActiveSync"))
        || path.starts_with("/Microsoft-Server-ActiveSync")
    {
        return ClientAppType::ExchangeActiveSync;
    }
    let Some(agent) = agent else { return ClientAppType::Other };
    if APPS.iter().any(|app| agent.contains(app)) {
        return ClientAppType::MobileAndDesktop;
    }
    let engine = ["Gecko/", "AppleWebKit/", "Trident/", "Presto/", "MSIE "]
        .iter()
        .any(|engine| agent.contains(engine));
    if (agent.starts_with("Mozilla/5.0") || agent.starts_with("Mozilla/4.0") || agent.starts_with("Opera/"))
        && engine
    {
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
        assert_eq!(classify(Some(CHROME), Some("\"Windows\""), "/").0, Fact::Known(Platform::Windows));
        assert_eq!(classify(Some(CHROME), Some("\"macOS\""), "/").0, Fact::Unknown);
        assert_eq!(classify(Some(CHROME), Some("nonsense"), "/").0, Fact::Unknown);
        assert_eq!(classify(None, Some("\"Linux\""), "/").0, Fact::Known(Platform::Linux));
    }

    #[test]
    fn what_is_no_browser_and_no_known_app_is_other() {
        let kind = |agent| classify(agent, None, "/").1;
        assert_eq!(kind(Some(CHROME)), Fact::Known(ClientAppType::Browser));
        assert_eq!(kind(Some("curl/8.5.0")), Fact::Known(ClientAppType::Other));
        assert_eq!(kind(None), Fact::Known(ClientAppType::Other));
        let teams = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Teams/24 Chrome/120 Electron/28 Safari/537.36";
        assert_eq!(kind(Some(teams)), Fact::Known(ClientAppType::MobileAndDesktop));
        assert_eq!(
            classify(Some(CHROME), None, "/Microsoft-Server-ActiveSync").1,
            Fact::Known(ClientAppType::ExchangeActiveSync)
        );
    }
}
