//! Every text that a denial can show, in one place, so that a language is one more table.
//!
//! `{name}` marks a hole; [`fill`] fills it once and never looks into what it put there.

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident = $english:literal;)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(super) struct Texts {
            $($(#[doc = $doc])* pub(super) $name: &'static str,)*
        }

        /// English: the language of everybody who has no other.
        pub(super) static ENGLISH: Texts = Texts { $($name: $english,)* };
    };
}

texts! {
    /// Language tag (BCP 47), for `lang` and `Content-Language`.
    lang = "en";
    /// Direction of writing.
    dir = "ltr";
    /// Stands where an app's name is not shown.
    this_app = "this app";

    headline_context = "You can’t open {app} from here right now";
    headline_account = "You can’t open {app} with this account";
    headline_reauthenticate = "Sign in again to open {app}";
    headline_unavailable = "{app} can’t be opened right now";
    headline_unavailable_nameless = "This app can’t be opened right now";
    headline_sign_in = "Sign in to continue";
    headline_sign_in_again = "Sign in again to continue";
    headline_bad_request = "This request can’t be accepted";
    headline_no_app = "There is nothing at this address";
    headline_too_large = "This upload is too large";
    headline_fault = "Something went wrong on our side";

    signed_in_as = "You are signed in as {user}.";
    lead_context = "Your sign-in was successful but does not meet the criteria to access this resource. Your password is not the problem.";
    lead_account = "Your sign-in was successful, but this account is not assigned to the app. Your password is not the problem.";
    lead_reauthenticate = "Your sign-in was successful, but this resource asks for one more step.";
    lead_unavailable = "Something that is needed to decide did not answer. You did nothing wrong.";
    lead_fault = "You did nothing wrong.";
    lead_upstream = "You were let in, but the app behind us did not answer.";
    lead_sign_in = "This address is for people who are signed in.";
    lead_sign_in_again = "Your sign-in has ended or can’t be used here.";
    lead_bad_request = "It is incomplete, or it could be read in more than one way.";
    lead_no_app = "Check the address for typing mistakes.";
    lead_too_large = "It is larger than is accepted here.";

    verdict_structural = "This is a rule of your organisation, not a fault. Trying again, clearing the cache or reinstalling will not change it.";
    verdict_reauthenticate = "This is a rule of your organisation, not a fault. A new sign-in that meets it opens the app.";
    verdict_temporary = "This is a fault on our side. It usually passes; try again in {minutes} minutes.";

    heading_remedies = "What you can do";
    heading_reasons = "What did not meet the criteria";
    heading_details = "Details";
    heading_report = "For your help desk";
    report_hint = "Copy this text when you ask for help. It holds neither your name nor your address.";
    actions_label = "Actions";

    remedy_together = "All of this together:";
    remedy_other_network = "Connect from an approved network, or turn off your VPN or proxy.";
    seen_at = "We see you at {address}.";
    seen_at_country = "We see you at {address}, {country} (approximate).";
    remedy_compliant_device = "Use a device that your organisation manages and that meets its requirements.";
    remedy_hybrid_device = "Use a device that is joined to your organisation’s domain.";
    remedy_registered_device = "Use a device that is registered with your organisation.";
    device_not_shown = "This browser did not show a device identity: use a normal window, not a private one, of a supported browser.";
    device_not_compliant = "This device is registered but does not meet the requirements.";
    device_unregistered = "This device is not registered.";
    remedy_desktop_or_mobile = "Open it in the desktop or mobile app instead of the browser.";
    remedy_browser = "Open it in a browser instead of this app.";
    remedy_stronger = "Sign in again with a stronger method.";
    remedy_sign_in_again = "Sign in again.";
    remedy_newer_os = "Update the operating system of this device.";
    os_version_seen = "It reports version {version}.";
    remedy_later_time = "You may open this app again from {time}.";
    remedy_password = "Change your password, then sign in again.";
    remedy_interaction = "Sign in again and complete the steps that you are asked for.";
    remedy_administrator = "Only an administrator can change this.";

    reason_assignment = "This account is not assigned to the app.";
    reason_location = "The network or place that you connect from.";
    reason_platform = "The operating system of this device, or its version.";
    reason_client_app = "The kind of program that you use.";
    reason_device = "The device that you use.";
    reason_device_compliance = "The device does not meet the requirements of your organisation.";
    reason_device_unknown = "No device identity came with the request.";
    reason_device_joined = "The device is not managed by your organisation.";
    reason_client_approved = "The program is not one that is approved.";
    reason_client_protected = "The program is not protected by your organisation.";
    reason_flow = "This way of signing in is not allowed for this app.";
    reason_policy = "A rule of your organisation.";
    reason_authentication = "The method of your sign-in is not strong enough.";
    reason_session = "Your sign-in is too long ago.";
    reason_password = "Your password must be changed.";
    reason_interaction = "A step of the sign-in is still open.";
    reason_unavailable = "A fact that is needed to decide is not available right now.";

    action_sign_in = "Sign in";
    action_sign_in_again = "Sign in again";
    action_other_account = "Sign in with another account";
    action_try_again = "Try again";
    action_fix_device = "Fix this device";
    action_mail = "Write to {address}";
    action_help = "Open the help page";
    /// Subject of the mail to the help desk; in English, so that every help desk can sort it.
    mail_subject = "Access refused, code {code}, request {id}";
    mail_subject_codeless = "Access refused, request {id}";

    not_available = "Not available";
    approximate = "{country} (approximate)";
    contact = "Contact";
}

/// Labels of details, as the panel of Entra has them. They are the same in every language, so that
/// a help desk can read what it is sent.
pub(super) mod label {
    pub(in super::super) const CODE: &str = "Error code";
    pub(in super::super) const REQUEST_ID: &str = "Request ID";
    pub(in super::super) const TIMESTAMP: &str = "Timestamp";
    pub(in super::super) const APP_NAME: &str = "App name";
    pub(in super::super) const APP_ID: &str = "App ID";
    pub(in super::super) const USER: &str = "Signed in as";
    pub(in super::super) const ADDRESS: &str = "IP address";
    pub(in super::super) const LOCATION: &str = "Location";
    pub(in super::super) const DEVICE_ID: &str = "Device identifier";
    pub(in super::super) const PLATFORM: &str = "Device platform";
    pub(in super::super) const DEVICE_STATE: &str = "Device state";
    pub(in super::super) const CLIENT: &str = "Client";
    pub(in super::super) const DECISION_BY: &str = "Decision by";
}

/// Fills the holes of `text`. What is filled in is never searched for holes again, and a hole
/// without a value vanishes.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            out.push_str(value);
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}
