//! The pages themselves: what each is filled with. Every text of a provider, a client or an operator may be handed
//! over as it is; the forms escape and cap it.

use std::net::IpAddr;

use crate::denial::DeviceState;
use crate::denial::texts::Texts;
use crate::refusal::SignInFault;

/// The request that is answered.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// The request's id; shown as UUID.
    pub request_id: u128,
    /// The time, Unix milliseconds.
    pub now_unix_ms: i64,
}

/// A page of our own, around signing in and out. Links are paths on this very host, or absolute `http(s)` addresses
/// of the configuration; anything else is left out.
#[derive(Clone, Debug)]
pub enum OwnPage {
    /// Several providers to choose from, the one of last time first. Names no app: whoever asks is not signed in.
    Chooser {
        /// At least two.
        choices: Vec<Choice>,
        /// Whether the part of the address after `#` goes with the choice.
        keeps_fragment: bool,
    },
    /// A sign-in was not completed.
    SignInFailed {
        /// The provider's display name.
        provider: String,
        /// Why.
        fault: SignInFault,
        /// The provider's own words; only where the answer's `iss` was the right one.
        said: Option<ProviderError>,
        /// Starts the sign-in again.
        retry: String,
        /// Leads to the chooser, where there are several providers.
        choose: Option<String>,
    },
    /// The browser sent back none of our cookies after a round trip.
    CookiesBlocked {
        /// Starts the sign-in again.
        retry: String,
    },
    /// One sign-in followed the other, and none lasted.
    LoopBroken {
        /// The provider's display name.
        provider: String,
        /// Why the last one did not last, where it is known; [`SignInFault::SessionNotKept`] otherwise.
        fault: SignInFault,
        /// Starts the sign-in again.
        retry: String,
    },
    /// A form came without a session. It is never kept and never sent again.
    FormNotSent {
        /// Starts the sign-in; opened in a tab of its own, so that the form stays.
        sign_in: String,
    },
    /// Somebody opened a page of ours that says who is signed in, and nobody is.
    NotSignedIn {
        /// Starts the sign-in.
        sign_in: String,
    },
    /// Asks before it signs out.
    SignOut {
        /// Where the form is posted.
        action: String,
        /// Who is signed in.
        user: String,
        /// The provider's end-session endpoint, if the form's answer leads there: browsers hold the policy of forms
        /// against redirects too.
        leads_to: Option<String>,
    },
    /// Signed out.
    SignedOut {
        /// Starts a new sign-in.
        sign_in: String,
        /// What is known of the session at the provider.
        there: SignedOutThere,
    },
    /// Who is signed in, and how.
    Me(Box<MePage>),
    /// The sign-in that this link belongs to is over.
    StaleLink {
        /// Starts the sign-in again.
        retry: String,
    },
    /// A refusal was reported from its page.
    Reported {
        /// What the help desk finds it by.
        reference: String,
    },
    /// Keeps the part of the address after `#` over a sign-in, in the tab's session storage.
    KeepFragment {
        /// Identifies the attempt: 1 to 128 letters, digits, `-` and `_`.
        attempt: String,
        /// Before or after the sign-in.
        step: FragmentStep,
        /// Where the page goes by itself: the provider before, a path on this host after. Without a fragment.
        next: String,
    },
}

/// What a sign-out here came to at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedOutThere {
    /// Nobody asked it.
    NotAsked,
    /// The browser came back from it.
    Ended,
    /// It did not answer, by this display name: its session may live on, and signs in without a question.
    Unreached(String),
}

/// A provider on the chooser.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The provider's display name.
    pub name: String,
    /// Starts a sign-in there.
    pub href: String,
}

/// An error of a provider, in its own words (RFC 6749, section 4.1.2.1).
#[derive(Clone, Debug)]
pub struct ProviderError {
    /// `error`
    pub error: String,
    /// `error_description`
    pub description: Option<String>,
}

/// Which side of a sign-in a fragment is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentStep {
    /// Before: it is put aside.
    Save,
    /// After: it is put back.
    Restore,
}

/// Who is signed in, and how.
#[derive(Clone, Debug)]
pub struct MePage {
    /// The name that the user knows.
    pub user: String,
    /// The id that policies and logs know.
    pub user_id: String,
    /// The app's name.
    pub app: String,
    /// The provider's display name.
    pub provider: String,
    /// Methods of the sign-in (`amr`).
    pub methods: Vec<String>,
    /// When the user proved who it is (`auth_time`), Unix seconds.
    pub auth_time: Option<i64>,
    /// The device that the sign-in named: id and state in the words of Entra's panel.
    pub device: MeDevice,
    /// The client's address; `None` when the trusted proxies do not know it.
    pub address: Option<IpAddr>,
    /// The country of that address.
    pub country: Option<String>,
    /// When the session ends if it is not used any more, Unix seconds.
    pub idle_until: i64,
    /// When it ends in any case, Unix seconds.
    pub until: i64,
    /// Where the form that signs out is posted.
    pub sign_out: String,
    /// As with [`OwnPage::SignOut`].
    pub leads_to: Option<String>,
    /// Starts a sign-in with another account.
    pub other_account: Option<String>,
}

/// The device of a session.
#[derive(Clone, Debug, Default)]
pub struct MeDevice {
    id: Option<String>,
    /// Without its id.
    state: DeviceState<'static>,
}

impl MeDevice {
    /// A device as a denial names it.
    #[must_use]
    pub fn of(state: &DeviceState<'_>) -> Self {
        Self { id: state.id().map(str::to_owned), state: state.without_id() }
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The state in English, for programs.
    pub(super) const fn state(&self) -> &'static str {
        self.state.label()
    }

    pub(super) fn words(&self, texts: &'static Texts) -> &'static str {
        self.state.words(texts).as_str()
    }
}
