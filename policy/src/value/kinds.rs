//! The closed vocabularies of facts: kinds of clients, platforms, risk levels, flows, guests,
//! countries and authentication contexts.

use core::fmt;

use crate::words;
use crate::words::word_set;

words! {
    /// Kinds of clients, in Entra's words.
    pub enum ClientAppType {
        /// A web browser.
        Browser = "browser",
        /// Mobile apps and desktop clients with modern authentication.
        MobileAndDesktop = "mobile-apps-and-desktop-clients",
        /// Exchange ActiveSync.
        ExchangeActiveSync = "exchange-active-sync",
        /// Anything else, and anything that is not known.
        Other = "other",
    }
}

word_set! {
    /// Client app types.
    ClientAppSet of ClientAppType: u8
}

words! {
    /// Device platforms, in Entra's words.
    pub enum Platform {
        /// Android.
        Android = "android",
        /// iOS and iPadOS.
        Ios = "ios",
        /// Windows.
        Windows = "windows",
        /// macOS.
        MacOs = "macos",
        /// Linux, ChromeOS not included.
        Linux = "linux",
        /// Windows Phone.
        WindowsPhone = "windows-phone",
    }
}

words! {
    /// How risky something is.
    pub enum RiskLevel {
        /// No risk was found.
        None = "none",
        /// Low; insider risk `minor`.
        Low = "low",
        /// Medium; insider risk `moderate`.
        Medium = "medium",
        /// High; insider risk `elevated`.
        High = "high",
    }
}

word_set! {
    /// Risk levels.
    RiskSet of RiskLevel: u8
}

words! {
    /// Authentication flows that policies can single out.
    pub enum Flow {
        /// Device code flow, RFC 8628.
        DeviceCode = "device-code-flow",
        /// Authentication transfer from one device to another.
        AuthenticationTransfer = "authentication-transfer",
    }
}

word_set! {
    /// Authentication flows.
    FlowSet of Flow: u8
}

words! {
    /// How somebody is external to the organisation, in Graph's words.
    pub enum GuestKind {
        /// `internalGuest`
        InternalGuest = "internal-guest",
        /// `b2bCollaborationGuest`
        B2bCollaborationGuest = "b2b-collaboration-guest",
        /// `b2bCollaborationMember`
        B2bCollaborationMember = "b2b-collaboration-member",
        /// `b2bDirectConnectUser`
        B2bDirectConnectUser = "b2b-direct-connect-user",
        /// `serviceProvider`
        ServiceProvider = "service-provider",
        /// `otherExternalUser`
        OtherExternalUser = "other-external-user",
    }
}

word_set! {
    /// Kinds of guests.
    GuestKinds of GuestKind: u8
}

/// Source: ISO 3166-1, officially assigned alpha-2 codes.
const ASSIGNED: &str = "\
        AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
        BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
        FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
        IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK \
        ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
        PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF \
        TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Takes two ASCII letters in any case; anything else is no code.
    ///
    /// ```
    /// use portcullis_policy::model::CountryCode;
    /// assert_eq!(CountryCode::new("no").unwrap().as_str(), "NO");
    /// assert!(CountryCode::new("N0").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        match text.as_bytes() {
            &[a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The codes that are assigned to a country or territory (ISO 3166-1, 249 of them).
    pub(crate) fn assigned() -> impl Iterator<Item = Self> {
        ASSIGNED.split(' ').filter_map(Self::new)
    }

    /// How many codes there could be.
    pub(crate) const COUNT: usize = 26 * 26;

    /// Its place among all codes, by the alphabet.
    pub(crate) const fn index(self) -> usize {
        // INVARIANT: `new` admits ASCII letters only and makes them upper case.
        let [first, second] = self.0;
        (first as usize).wrapping_sub(b'A' as usize) * 26 + (second as usize).wrapping_sub(b'A' as usize)
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: `new` admits ASCII letters only, so this is always valid UTF-8.
        core::str::from_utf8(&self.0).unwrap_or("??")
    }
}

/// An authentication context, `c1` to `c99`: what a route asks for instead of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthenticationContext(u8);

impl AuthenticationContext {
    /// Takes `c1` … `c99`.
    ///
    /// ```
    /// use portcullis_policy::model::AuthenticationContext;
    /// assert_eq!(AuthenticationContext::new("c7").unwrap().number(), 7);
    /// assert!(AuthenticationContext::new("c100").is_none());
    /// assert!(AuthenticationContext::new("c07").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('c')?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u8 = digits.parse().ok()?;
        (1..=99).contains(&number).then_some(Self(number))
    }

    /// Its number, 1 to 99.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for AuthenticationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}
