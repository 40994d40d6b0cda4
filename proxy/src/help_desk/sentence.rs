//! What may be read out to the caller. Nothing in it names a rule, a policy, a group, a network or a risk: it says no more
//! than the page does.

use portcullis_config::settings::Disclosure;
use portcullis_policy::remedy::Remedy;

use super::desk::Desk;
use super::found::Found;
use crate::clock::minute;
use crate::refusal::{Class, ErrorInfo, Refusal, Resolution};

/// The sentence, for a decision as it was, and what would help today.
pub(super) fn of(
    found: &Found,
    info: Option<ErrorInfo>,
    app: &str,
    remedies: &[Vec<Remedy>],
    desk: &Desk<'_>,
) -> String {
    if found.was_let_in() {
        return "That request was let in; nothing refused it.".to_owned();
    }
    say(info, app, remedies, disclosure(found, desk) == Disclosure::Minimal)
}

fn say(info: Option<ErrorInfo>, app: &str, remedies: &[Vec<Remedy>], is_minimal: bool) -> String {
    let Some(info) = info else {
        return format!(
            "Your request did not get as far as a decision about “{app}”. Please tell us what you see."
        );
    };
    if info.resolution == Resolution::RetryLater {
        return format!(
            "“{app}” could not be opened because something on our side did not answer. It was no decision about you; \
             it usually passes within minutes."
        );
    }
    let minimal = format!(
        "Your sign-in was successful, but it does not meet the criteria to open “{app}”. Trying again will not change that."
    );
    if is_minimal {
        return minimal;
    }
    let what = match info.class {
        Class::Location => {
            format!("Your sign-in was successful, but “{app}” cannot be opened from where you were.")
        }
        Class::Device => format!(
            "Your sign-in was successful, but “{app}” cannot be opened with what your device showed of itself."
        ),
        Class::ClientApp => format!(
            "Your sign-in was successful, but “{app}” cannot be opened with the program that you used."
        ),
        Class::Platform => format!(
            "Your sign-in was successful, but “{app}” cannot be opened on the system that your device runs."
        ),
        Class::Flow => {
            format!("Your sign-in was successful, but “{app}” cannot be opened with this way of signing in.")
        }
        Class::Authentication => format!("“{app}” asks for one more proof than your last sign-in had."),
        Class::Session => format!("“{app}” asks you to sign in once more."),
        Class::Assignment => format!("Your sign-in was successful, but “{app}” is not assigned to you."),
        Class::Request => format!("What your program sent to “{app}” was not in order."),
        // The same words for each: which rule it was is not for the caller.
        Class::Policy | Class::Unavailable => return minimal,
    };
    let ways: Vec<String> = remedies
        .iter()
        .map(|changes| changes.iter().map(|change| to_user(*change)).collect::<Vec<_>>().join(", and "))
        .collect();
    match (ways.as_slice(), info.resolution) {
        ([], Resolution::SignIn | Resolution::Reauthenticate) => format!("{what} Please sign in again."),
        ([], _) => format!("{what} Nothing that you can change yourself would help; we look into it."),
        (ways, _) => format!("{what} What helps: {}.", ways.join("; or ")),
    }
}

/// The strictest that installation, app and the policies that refused ask for.
fn disclosure(found: &Found, desk: &Desk<'_>) -> Disclosure {
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

/// The row of the table that a page with this reason or code was made of. `None` for a code that is none of ours.
pub(super) fn info_of(reason: Option<&str>, code: Option<u32>) -> Option<ErrorInfo> {
    let rows = || Refusal::all().iter().map(Refusal::info);
    let by_both =
        rows().find(|info| Some(info.reason) == reason && code.is_none_or(|code| code == info.code));
    let by_reason = || rows().find(|info| Some(info.reason) == reason);
    let by_code = || rows().find(|info| Some(info.code) == code.filter(|code| *code != 0));
    by_both.or_else(by_reason).or_else(by_code)
}

fn to_user(remedy: Remedy) -> String {
    match remedy {
        Remedy::SignInAgain => "sign in again",
        Remedy::StrongerSignIn { .. } => "sign in again with a stronger method",
        Remedy::AcceptTerms => "accept the terms of use when you are asked",
        Remedy::ExternalControl => "pass the further check when you are asked",
        Remedy::ChangePassword => "change your password and sign in with the new one",
        Remedy::OtherSignInFlow => "sign in directly on your own device",
        Remedy::LeaveNetwork => "turn off your VPN or proxy, or use another network",
        Remedy::OtherCountry => "connect from another country",
        Remedy::ApprovedNetwork => "connect to your organisation's network or its VPN",
        Remedy::ApprovedClientApp => "open it in an app that your organisation approved",
        Remedy::ProtectedClientApp => "open it in an app that your organisation protects",
        Remedy::NewerOs => "update the system of your device",
        Remedy::RegisteredDevice => "use a device that is registered with your organisation",
        Remedy::CompliantDevice => "use a device that meets your organisation's requirements",
        Remedy::HybridJoinedDevice => "use a device that your organisation manages",
        Remedy::OtherDevice => "use another device of your organisation",
        Remedy::LaterTime { at } => return format!("open it again from {}", minute(at)),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
    use portcullis_policy::remedy::{Remedy, StrongerMethod};

    use super::{info_of, say};
    use crate::refusal::{Refusal, Subcode};

    #[test]
    fn a_risk_is_said_as_a_plain_block_is_and_nothing_is_offered_around_it() {
        let of = |primary: ReasonCode| {
            let reasons = ReasonSet::EMPTY.with(primary);
            let refusal = Refusal::Policy(Refused { primary, reasons, temporary: false }, Subcode::None);
            say(Some(refusal.info()), "Payroll", &[vec![Remedy::LeaveNetwork]], false)
        };
        assert_eq!(of(ReasonCode::BlockedByRisk), of(ReasonCode::Blocked));
        assert!(!of(ReasonCode::Blocked).contains("VPN"));
    }

    #[test]
    fn each_refusal_has_a_sentence_that_names_the_app_and_no_word_of_ours() {
        let strength = Remedy::StrongerSignIn { method: StrongerMethod::Strength(0) };
        for refusal in Refusal::all() {
            let info = refusal.info();
            for (remedies, is_minimal) in [(&[][..], false), (&[vec![strength]][..], false), (&[][..], true)]
            {
                let said = say(Some(info), "Payroll", remedies, is_minimal);
                assert!(said.contains("“Payroll”") && said.ends_with('.'), "{refusal:?}: {said}");
                for word in ["policy", "risk", "group", info.reason, "denied"] {
                    assert!(!said.contains(word), "{refusal:?}: {said}");
                }
            }
        }
    }

    #[test]
    fn a_row_is_found_by_reason_and_code_and_none_by_neither() {
        for refusal in Refusal::all() {
            let info = refusal.info();
            assert_eq!(info_of(Some(info.reason), Some(info.code)).unwrap().class, info.class, "{refusal:?}");
        }
        assert!(info_of(None, Some(7)).is_none() && info_of(Some("no-such"), None).is_none());
    }
}
