//! The pages around signing in, with invented contents, for `portcullis page`.

use std::net::{IpAddr, Ipv4Addr};

use crate::denial::DeviceState;
use crate::pages::{Choice, FragmentStep, MeDevice, MePage, OwnPage, ProviderError, SignedOutThere};
use crate::refusal::SignInFault;

const PROVIDER: &str = "Northwind staff";
const SIGN_IN: &str = "/.portcullis/sign-in?return=/";
const SIGN_OUT: &str = "/.portcullis/sign-out";

/// Name and contents of each.
pub(super) fn all() -> Vec<(String, OwnPage)> {
    let failed = |fault: SignInFault| {
        let said = ProviderError {
            error: "access_denied".to_owned(),
            description: Some("The user did not give consent.".to_owned()),
        };
        let page = OwnPage::SignInFailed {
            provider: PROVIDER.to_owned(),
            fault,
            said: (fault == SignInFault::AccessDenied).then_some(said),
            retry: SIGN_IN.to_owned(),
            choose: (fault == SignInFault::AccessDenied).then(|| format!("{SIGN_IN}&choose=")),
        };
        (fault.as_str().to_owned(), page)
    };
    let mut all: Vec<_> = SignInFault::ALL.map(failed).into();
    all.extend([
        (
            "chooser".to_owned(),
            OwnPage::Chooser { choices: [PROVIDER, "Partners"].map(choice).into(), keeps_fragment: false },
        ),
        (
            "loop-broken".to_owned(),
            OwnPage::LoopBroken {
                provider: PROVIDER.to_owned(),
                fault: SignInFault::SessionNotKept,
                retry: SIGN_IN.to_owned(),
            },
        ),
        ("form-not-sent".to_owned(), OwnPage::FormNotSent { sign_in: SIGN_IN.to_owned() }),
        (
            "sign-out".to_owned(),
            OwnPage::SignOut {
                action: SIGN_OUT.to_owned(),
                user: "kari.nordmann@example.com".to_owned(),
                leads_to: None,
            },
        ),
        ("not-signed-in".to_owned(), OwnPage::NotSignedIn { sign_in: SIGN_IN.to_owned() }),
        (
            "signed-out".to_owned(),
            OwnPage::SignedOut { sign_in: SIGN_IN.to_owned(), there: SignedOutThere::Ended },
        ),
        (
            "signed-out-here".to_owned(),
            OwnPage::SignedOut {
                sign_in: SIGN_IN.to_owned(),
                there: SignedOutThere::Unreached(PROVIDER.to_owned()),
            },
        ),
        ("reported".to_owned(), OwnPage::Reported { reference: "7HKX-2M9P".to_owned() }),
        ("me".to_owned(), OwnPage::Me(Box::new(me()))),
        (
            "keep-fragment".to_owned(),
            OwnPage::KeepFragment {
                attempt: "example".to_owned(),
                step: FragmentStep::Restore,
                next: "/keep-fragment".to_owned(),
            },
        ),
    ]);
    all
}

fn choice(name: &str) -> Choice {
    Choice { name: name.to_owned(), href: format!("{SIGN_IN}&provider=example") }
}

fn me() -> MePage {
    MePage {
        user: "kari.nordmann@example.com".to_owned(),
        user_id: "7d0f1a52-3b5c-4f0e-9a53-6f3e4a2c1b00".to_owned(),
        app: "Payroll".to_owned(),
        provider: PROVIDER.to_owned(),
        methods: vec!["pwd".to_owned(), "mfa".to_owned()],
        auth_time: Some(1_795_487_000),
        device: MeDevice::of(&DeviceState::Compliant { id: "5f3c2a10-77aa-4c1e-9d6b-0a1b2c3d4e5f" }),
        address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        country: Some("NO".to_owned()),
        idle_until: 1_795_490_600,
        until: 1_795_530_200,
        sign_out: SIGN_OUT.to_owned(),
        leads_to: None,
        other_account: Some(format!("{SIGN_IN}&prompt=select_account")),
    }
}
