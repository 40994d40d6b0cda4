//! What may be read out to the caller. Nothing in it names a rule, a policy, a group, a network or a risk: it says no more
//! than the page does, and where the page has the words, in the page's words.

use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::remedy::Remedy;

use super::desk::Desk;
use super::found::Found;
use crate::denial::{is_verified, read_out};
use crate::refusal::{
    BadRequest, BadToken, Class, ClientCertificateProblem, Refusal, Resolution, Sender, SignInFault,
    SignInTrouble,
};

/// What the policies of today make of the same request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Help {
    /// They were not asked, or nobody knows what would help.
    #[default]
    NotKnown,
    /// They would let it in.
    LetIn,
    /// Changes that would let it in: alternatives of steps.
    Ways(Vec<Vec<Remedy>>),
    /// No change of the user would let it in: all were tried.
    None,
}

/// The sentence, for a decision as it was, and what would help today.
pub(super) fn of(
    found: &Found,
    refusal: Option<&Refusal>,
    app: Option<&str>,
    help: &Help,
    desk: &Desk<'_>,
) -> String {
    if found.reports.is_some() {
        return "That is your report to us; it reached us.".to_owned();
    }
    if found.outcome.as_deref() == Some("replied") {
        return "That request was answered; nothing refused it.".to_owned();
    }
    if found.was_let_in() {
        return "That request was let in; nothing refused it.".to_owned();
    }
    match refusal {
        Some(_) if found.is_truncated => {
            return "The answer to your request had begun, and was cut off before its end. Please load it again.".to_owned();
        }
        // Whose path is open to everybody is known to nobody, and was told no app.
        Some(Refusal::Upstream { .. }) if !found.was_known() => {
            return "What you opened did not answer. It was no decision about you; it usually passes."
                .to_owned();
        }
        Some(Refusal::Maintenance) if !found.was_known() => {
            return "What you opened is being worked on. There is nothing that you need to do; it usually passes."
                .to_owned();
        }
        Some(_) | None => {}
    }
    say(refusal, app, help, disclosure(found, desk) == Disclosure::Minimal)
}

const OUR_FAULT: &str =
    "Something went wrong on our side. It was no decision about you; it usually passes within minutes.";

fn say(refusal: Option<&Refusal>, app: Option<&str>, help: &Help, is_minimal: bool) -> String {
    let Some(refusal) = refusal else {
        return "What stopped your request is not known here. Please tell us what you see.".to_owned();
    };
    // Who was not known is told no app: the page names none either.
    let app = match app.filter(|_| is_verified(refusal)) {
        Some(app) => format!("“{app}”"),
        None => "the app".to_owned(),
    };
    let lead = || read_out::lead(refusal);
    match refusal {
        Refusal::Policy(refused, _) => {
            let hidden = refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk);
            by_policies(refusal, &app, if hidden { &Help::NotKnown } else { help }, is_minimal)
        }
        Refusal::BadRequest(BadRequest::Misdirected) => {
            "What your browser sent came over a connection that was opened for another address. Please load the page again."
                .to_owned()
        }
        Refusal::BadRequest(_) => {
            "What your browser or program sent was not in order, so it was not passed on. Signing in again will not change that."
                .to_owned()
        }
        Refusal::NoApp => {
            "There is nothing at the address that you opened. Please check it for typing mistakes.".to_owned()
        }
        Refusal::NoToken | Refusal::BadSession(_) => {
            "You were not signed in. Please check the address for typing mistakes, and sign in.".to_owned()
        }
        Refusal::BadToken(BadToken::NotTried) | Refusal::TooManyRequests(Sender::Address) => {
            format!("{} Please wait a moment, then try again.", lead())
        }
        Refusal::TooManyRequests(Sender::Principal) => {
            format!("About {app}: {} Please wait a moment, then try again.", lead())
        }
        Refusal::BadToken(_) => "Your sign-in has ended, or cannot be used there. Please sign in again.".to_owned(),
        Refusal::KeysUnavailable | Refusal::SessionsUnavailable => {
            "Something on our side did not answer, so nobody could tell who you are. It was no decision about you; it usually \
             passes within minutes."
                .to_owned()
        }
        Refusal::ClientCertificate(problem) => match problem {
            ClientCertificateProblem::Unverifiable => unavailable(&app),
            ClientCertificateProblem::Missing
            | ClientCertificateProblem::Untrusted
            | ClientCertificateProblem::Revoked
            | ClientCertificateProblem::Expired => {
                format!("About {app}: {} What helps: {}.", lead(), read_out::certificate(*problem))
            }
        },
        Refusal::Upstream { .. } => {
            format!("You were let in, but {app} did not answer. It was no decision about you; it usually passes.")
        }
        Refusal::Maintenance => {
            format!("You were let in, but {app} is being worked on. There is nothing that you need to do; it usually passes.")
        }
        Refusal::BodyTooLarge => "What you sent is larger than is accepted there.".to_owned(),
        Refusal::BodyTooSlow => {
            "So little of what you sent arrived that it was given up. Please send it again.".to_owned()
        }
        Refusal::Loop => {
            "Your request went round in a circle on our side and was stopped. Trying again will not change that; we look into it."
                .to_owned()
        }
        Refusal::Internal => OUR_FAULT.to_owned(),
        Refusal::SignIn(fault) => by_sign_in(*fault).to_owned(),
    }
}

fn unavailable(app: &str) -> String {
    format!(
        "{app} could not be opened because something on our side did not answer. It was no decision about you; it usually \
         passes within minutes."
    )
}

const fn by_sign_in(fault: SignInFault) -> &'static str {
    match fault.trouble() {
        SignInTrouble::Ended => {
            "Your sign-in service ended the sign-in before it was finished. If you cancelled it yourself, please sign in again."
        }
        SignInTrouble::ProviderError => {
            "Your sign-in service could not finish the sign-in. Please sign in again."
        }
        SignInTrouble::OldLink => {
            "That sign-in link is no longer valid. Please open the app again, and sign in."
        }
        SignInTrouble::NoCookies => {
            "Your browser did not send back the cookie that it was given. Please allow cookies for this address, or use a normal \
             window, and sign in again."
        }
        SignInTrouble::Answer => {
            "What your sign-in service answered is not accepted here, so you were not signed in. Please sign in again; if that \
             does not help, we look into it."
        }
        SignInTrouble::NotDelivered => {
            "You signed in again, but your sign-in service did not do what the app asks for. We look into it."
        }
        SignInTrouble::Configuration => {
            "The connection to your sign-in service is not set up as it has to be. You cannot change that; we look into it."
        }
        SignInTrouble::NoAnswer => {
            "Your sign-in service did not answer. It usually passes; please sign in again in a minute."
        }
        SignInTrouble::Store => {
            "Your sign-in was successful, but it could not be kept. It usually passes; please sign in again in a minute."
        }
        SignInTrouble::NotKept => {
            "You were sent to your sign-in service several times, and came back each time without a sign-in that lasts, so it was \
             stopped. Please use a normal window, with cookies allowed."
        }
        SignInTrouble::Internal => OUR_FAULT,
    }
}

fn by_policies(refusal: &Refusal, app: &str, help: &Help, is_minimal: bool) -> String {
    let info = refusal.info();
    let now = if *help == Help::LetIn { " It would be let in now: please try again." } else { "" };
    if info.is_temporary() {
        return unavailable(app) + now;
    }
    let plain = format!("Your sign-in was successful, but it does not meet the criteria to open {app}.");
    let again = if now.is_empty() { " Trying again will not change that." } else { now };
    if is_minimal {
        return plain + again;
    }
    let what = match info.class {
        Class::Location => {
            format!("Your sign-in was successful, but {app} cannot be opened from where you were.")
        }
        Class::Device => {
            format!(
                "Your sign-in was successful, but {app} cannot be opened with what your device showed of itself."
            )
        }
        Class::ClientApp => {
            format!("Your sign-in was successful, but {app} cannot be opened with the program that you used.")
        }
        Class::Platform => {
            format!(
                "Your sign-in was successful, but {app} cannot be opened on the system that your device runs."
            )
        }
        Class::Flow => {
            format!("Your sign-in was successful, but {app} cannot be opened with this way of signing in.")
        }
        Class::Authentication if info.resolution == Resolution::ContactAdmin => {
            format!(
                "Your sign-in was successful, but {app} asks how you signed in, and your sign-in service does not tell it."
            )
        }
        Class::Authentication => format!("{app} asks for more than your last sign-in had."),
        Class::Session => format!("Your sign-in is too long ago for {app}."),
        Class::Assignment => format!("Your sign-in was successful, but {app} is not assigned to you."),
        // The same words for each: which rule it was is not for the caller.
        Class::Policy | Class::Unavailable | Class::Request => return plain + again,
    };
    let helps = match help {
        Help::LetIn => return what + now,
        Help::Ways(ways) => {
            let ways = ways.iter().map(|steps| {
                let steps: Vec<String> = steps.iter().map(|step| read_out::step(*step)).collect();
                steps.join(", and ")
            });
            format!("What helps: {}.", ways.collect::<Vec<_>>().join("; or "))
        }
        Help::NotKnown | Help::None if info.resolution == Resolution::Reauthenticate => {
            "Please sign in again.".to_owned()
        }
        Help::None => "Nothing that you can change yourself would help; we look into it.".to_owned(),
        Help::NotKnown => "We look into it.".to_owned(),
    };
    format!("{what} {helps}")
}

/// The strictest that installation, app and the policies that refused ask for; the strictest of all where the policies
/// cannot be read.
fn disclosure(found: &Found, desk: &Desk<'_>) -> Disclosure {
    if desk.broken.is_some() {
        return Disclosure::Minimal;
    }
    let config = desk.config;
    let denial = &config.denial;
    let app = config.apps.iter().position(|app| Some(app.id.as_str()) == found.app());
    let base = app.and_then(|app| denial.apps.get(app)?.disclosure).unwrap_or(denial.disclosure);
    let refusing =
        found.applied.iter().filter(|one| matches!(one.result.as_str(), "failure" | "interrupted"));
    let of = |id: &str| {
        let at = desk.policies.set().policies.iter().position(|policy| policy.id.as_str() == id);
        at.and_then(|at| denial.policies.get(at)?.disclosure).unwrap_or(base)
    };
    refusing.map(|one| of(&one.id)).min().unwrap_or(base)
}

/// The refusal that a page with this reason or code was made of. `None` for what is none of ours.
///
/// A support code has the number alone, which several refusals share: `today`, what the same facts come to by the policies
/// of today, says which, and else the one that tells least.
pub(super) fn refusal_of(reason: Option<&str>, code: Option<u32>, today: Option<Refusal>) -> Option<Refusal> {
    let rows = || Refusal::all().iter().copied();
    let has_code = |refusal: &Refusal| code.is_some_and(|code| code != 0 && refusal.info().code == code);
    if let Some(reason) = reason {
        let named = |refusal: &Refusal| refusal.info().reason == reason;
        let by_both =
            rows().find(|refusal| named(refusal) && code.is_none_or(|code| refusal.info().code == code));
        // Of what turned on a missing fact, the log names the demand that could not be decided; the code says what it was.
        return by_both.or_else(|| rows().find(has_code)).or_else(|| rows().find(named));
    }
    if let Some(today) = today.filter(has_code) {
        return Some(today);
    }
    let told_least = |refusal: &Refusal| refusal.info().class == Class::Policy;
    rows().find(|refusal| has_code(refusal) && told_least(refusal)).or_else(|| rows().find(has_code))
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
    use portcullis_policy::remedy::{Remedy, StrongerMethod};

    use super::{Help, refusal_of, say};
    use crate::denial::is_verified;
    use crate::refusal::{Class, Refusal, Resolution, Subcode};

    fn of_reason(primary: ReasonCode, temporary: bool) -> Refusal {
        let reasons = ReasonSet::EMPTY.with(primary);
        Refusal::Policy(Refused { primary, reasons, temporary }, Subcode::None)
    }

    #[test]
    fn a_risk_is_said_as_a_plain_block_is_and_nothing_is_offered_around_it() {
        let ways = Help::Ways(vec![vec![Remedy::LeaveNetwork]]);
        let of = |primary: ReasonCode| say(Some(&of_reason(primary, false)), Some("Payroll"), &ways, false);
        assert_eq!(of(ReasonCode::BlockedByRisk), of(ReasonCode::Blocked));
        assert!(!of(ReasonCode::Blocked).contains("VPN"));
        // Beside another reason, too.
        let reasons = ReasonSet::EMPTY.with(ReasonCode::BlockedByLocation).with(ReasonCode::BlockedByRisk);
        let both = Refused { primary: ReasonCode::BlockedByLocation, reasons, temporary: false };
        let said = say(Some(&Refusal::Policy(both, Subcode::None)), Some("Payroll"), &ways, false);
        assert!(!said.contains("VPN") && !said.contains("risk"), "{said}");
    }

    #[test]
    fn what_is_read_out_is_true_of_each_refusal() {
        let strength = Remedy::StrongerSignIn { method: StrongerMethod::Strength(0) };
        let helps = [Help::NotKnown, Help::LetIn, Help::Ways(vec![vec![strength]]), Help::None];
        let mut table = String::new();
        for refusal in Refusal::all() {
            let info = refusal.info();
            for (at, help) in helps.iter().enumerate() {
                for is_minimal in [false, true] {
                    let said = say(Some(refusal), Some("Payroll"), help, is_minimal);
                    assert!(said.ends_with('.') && !said.contains("  "), "{refusal:?}: {said}");
                    for word in ["policy", "risk", "group", info.reason, "denied", "below", "this browser"] {
                        assert!(!said.contains(word), "{refusal:?}: {said}");
                    }
                    // Who is not known is told no app.
                    assert_eq!(said.contains("“Payroll”"), is_verified(refusal), "{refusal:?}: {said}");
                    let was_signed_in = said.contains("Your sign-in was successful");
                    let is_store = info.reason == "store-unavailable";
                    assert!(!was_signed_in || is_verified(refusal) || is_store, "{refusal:?}: {said}");
                    let passes = said.contains("usually passes") || said.contains("wait a moment");
                    assert_eq!(
                        passes,
                        info.resolution == Resolution::RetryLater && info.reason != "session-not-kept",
                        "{refusal:?}: {said}"
                    );
                    let again = said.contains("Trying again will not");
                    assert!(!(again && (passes || said.contains("please try again"))), "{refusal:?}: {said}");
                    if at == 0 && !is_minimal {
                        table += &format!("{} {}: {said}\n", info.reason, info.code);
                    }
                }
            }
        }
        expect_test::expect_file!["sentences.txt"].assert_eq(&table);
    }

    #[test]
    fn what_helps_is_said_only_where_it_was_asked_for() {
        let of =
            |help| say(Some(&of_reason(ReasonCode::BlockedByLocation, false)), Some("Payroll"), help, false);
        assert!(of(&Help::LetIn).ends_with("It would be let in now: please try again."));
        assert!(of(&Help::None).contains("Nothing that you can change yourself"));
        assert!(of(&Help::NotKnown).ends_with("We look into it."));
        let ways =
            Help::Ways(vec![vec![Remedy::OtherCountry], vec![Remedy::CompliantDevice, Remedy::SignInAgain]]);
        let said = of(&ways);
        let expected = "What helps: connect from another country; or use a device that your organisation manages, and sign in again.";
        assert!(said.ends_with(expected), "{said}");
    }

    #[test]
    fn a_refusal_is_found_by_reason_and_code_and_none_by_neither() {
        for refusal in Refusal::all() {
            let info = refusal.info();
            let found = refusal_of(Some(info.reason), Some(info.code), None).unwrap().info();
            assert_eq!((found.class, found.resolution), (info.class, info.resolution), "{refusal:?}");
        }
        assert!(
            refusal_of(None, Some(7), None).is_none() && refusal_of(Some("no-such"), None, None).is_none()
        );
    }

    #[test]
    fn a_demand_that_could_not_be_decided_is_no_demand() {
        let found = refusal_of(Some("mfa-required"), Some(90033), None).unwrap();
        assert_eq!(found.info().resolution, Resolution::RetryLater);
    }

    #[test]
    fn a_number_that_several_refusals_share_says_the_least_of_them_or_what_it_is_today() {
        let of = |today| refusal_of(None, Some(53003), today).unwrap().info().class;
        assert_eq!(of(None), Class::Policy);
        assert_eq!(of(Some(of_reason(ReasonCode::BlockedByLocation, false))), Class::Location);
        // Today it is another one.
        assert_eq!(of(Some(of_reason(ReasonCode::DeviceNotCompliant, false))), Class::Policy);
    }
}
