//! Whether tokens that an app accepts could ever prove what an enabled policy asks. Without evidence a control is
//! never met, and nobody would get in by it: `check` reports it before the first user finds out.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    self, AuthenticationContext, Control, Grant, Operator, Policy, PolicyState, Targets,
};
use portcullis_policy::signals::IssuerEvidence;

use super::context::Context;
use super::issuer;
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::shortened;
use crate::schema::policy_tables::GRANT;
use crate::schema::tree::View;
use crate::settings::{App, Issuer, Provider};

/// Apps that are named in one warning at most.
const APPS_NAMED_MAX: usize = 3;

const CODE: &str = "policy/no-evidence";

/// What tokens can prove, and what policies ask them to.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// By position in `Config::issuers`.
    pub(super) issuers: Vec<IssuerProofs>,
    /// By position in `Config::apps`.
    pub(super) apps: Vec<AppProofs>,
    asked: Vec<Asked>,
}

/// What the tokens of one issuer can prove.
#[derive(Debug)]
pub(super) struct IssuerProofs {
    url: String,
    evidence: IssuerEvidence,
    asserts_compliance: bool,
    asserts_join: bool,
}

/// Whose tokens an app accepts, and which contexts it asks for.
#[derive(Debug)]
pub(super) struct AppProofs {
    issuers: Vec<usize>,
    contexts: Vec<AuthenticationContext>,
    /// The issuers of the providers at which its browsers sign in.
    of_sign_in: Vec<usize>,
}

/// What one enabled policy asks.
#[derive(Debug)]
struct Asked {
    operator: Operator,
    by_context: bool,
    /// Each control, as it is written and where.
    controls: Vec<(Control, String, At)>,
    /// The apps that it is about, by position and id.
    apps: Vec<(usize, String)>,
}

impl IssuerProofs {
    pub(super) fn of(view: View<'_>, issuer: &Issuer) -> Self {
        Self {
            url: issuer.issuer.clone(),
            evidence: issuer.evidence,
            asserts_compliance: issuer::asserts_device(view, "device-compliant"),
            asserts_join: issuer::asserts_device(view, "device-trust-type"),
        }
    }
}

impl AppProofs {
    pub(super) fn of(app: &App, providers: &[Provider]) -> Self {
        let providers = app.sign_in.iter().filter_map(|position| providers.get(*position));
        Self {
            of_sign_in: providers.map(|provider| provider.issuer).collect(),
            issuers: app.issuers.clone(),
            contexts: app.contexts.iter().map(|(_, context)| *context).collect(),
        }
    }
}

impl Proofs {
    /// Remembers what a policy asks, until every strength is known.
    pub(super) fn asks(&mut self, view: View<'_>, policy: &Policy, apps: &[model::App]) {
        let Grant::Require { operator, .. } = &policy.grant else { return };
        let Some(table) = view.table("grant", &GRANT) else { return };
        if policy.state != PolicyState::Enabled {
            return;
        }
        let named = |text: &str| match text {
            "mfa" => Some(Control::Mfa),
            "compliant-device" => Some(Control::CompliantDevice),
            "hybrid-joined-device" => Some(Control::HybridJoinedDevice),
            "approved-client-app" => Some(Control::ApprovedClientApp),
            "app-protection" => Some(Control::AppProtection),
            // What claims must be mapped for is reported where it is read.
            _ => text.strip_prefix("strength:").map(|name| Control::Strength(name.to_owned())),
        };
        let controls: Vec<_> = table
            .texts("controls")
            .map(|(text, at)| named(text).map(|control| (control, text.to_owned(), at)))
            .collect();
        let unknown = controls.iter().any(Option::is_none);
        if unknown && *operator == Operator::Or {
            return;
        }
        let about = |position: usize, app: &model::App| match &*policy.targets {
            Targets::Apps(apps) => apps.covers(app),
            Targets::Contexts(wanted) => {
                let asked = self.apps.get(position).map(|app| app.contexts.as_slice()).unwrap_or_default();
                asked.iter().any(|context| wanted.contains(context))
            }
        };
        let apps = apps.iter().enumerate().filter(|(position, app)| about(*position, app));
        let apps = apps.map(|(position, app)| (position, app.id.clone())).collect();
        self.asked.push(Asked {
            operator: *operator,
            by_context: matches!(&*policy.targets, Targets::Contexts(_)),
            controls: controls.into_iter().flatten().collect(),
            apps,
        });
    }

    /// Warns of what no token could prove, and of what no sign-in could be asked for.
    pub(super) fn report(&self, cx: &mut Context<'_>, set: &PolicySet) {
        for asked in &self.asked {
            self.report_step_up(cx, set, asked);
            let fails = |control: &Control, app: usize| !self.is_provable(set, control, app, asked);
            // Of alternatives one is enough.
            let all_fail = |app: usize| asked.controls.iter().all(|(control, ..)| fails(control, app));
            for (control, text, at) in &asked.controls {
                let failing = asked.apps.iter().filter(|(app, _)| match asked.operator {
                    Operator::And => fails(control, *app),
                    Operator::Or => all_fail(*app),
                });
                let apps: Vec<&str> = failing.map(|(_, id)| id.as_str()).collect();
                if !apps.is_empty() {
                    cx.push(self.warning(control, text, *at, &apps, asked));
                }
            }
        }
    }

    /// Warns of apps whose browsers sign in at a provider that could not be asked for what a policy wants: a session that
    /// lacks it would be refused again and again. What no token can prove is left to the other warning.
    fn report_step_up(&self, cx: &mut Context<'_>, set: &PolicySet, asked: &Asked) {
        // The context itself is asked for.
        if asked.by_context {
            return;
        }
        let is_mute = |control: &Control, app: usize| {
            let providers = self.apps.get(app).map_or(&[][..], |app| app.of_sign_in.as_slice());
            !providers.is_empty()
                && self.is_provable(set, control, app, asked)
                && !providers.iter().any(|position| self.is_asked_of(set, control, *position))
        };
        let of_sign_in =
            |control: &&(Control, String, At)| matches!(control.0, Control::Mfa | Control::Strength(_));
        let steps: Vec<_> = asked.controls.iter().filter(of_sign_in).collect();
        for (control, text, at) in &steps {
            let failing = asked.apps.iter().filter(|(app, _)| match asked.operator {
                Operator::And => is_mute(control, *app),
                Operator::Or => steps.iter().all(|(control, ..)| is_mute(control, *app)),
            });
            let apps: Vec<&str> = failing.map(|(_, id)| id.as_str()).collect();
            if !apps.is_empty() {
                cx.push(step_up_warning(control, text, *at, &apps));
            }
        }
    }

    /// Whether a provider of this issuer can be asked for it: by `acr_values`, or by a context in `claims`.
    fn is_asked_of(&self, set: &PolicySet, control: &Control, issuer: usize) -> bool {
        let (acrs, contexts) = match control {
            Control::Mfa => (&set.evidence.mfa_acrs, &set.evidence.mfa_contexts),
            Control::Strength(name) => match set.strengths.iter().find(|strength| strength.name == *name) {
                Some(strength) => (&strength.acrs, &strength.contexts),
                None => return true,
            },
            _ => return true,
        };
        let asserts_acr = self.issuers.get(issuer).is_some_and(|issuer| issuer.evidence.asserts_acr);
        (asserts_acr && !acrs.is_empty()) || !contexts.is_empty()
    }

    fn accepted(&self, app: usize) -> impl Iterator<Item = &IssuerProofs> {
        let positions = self.apps.get(app).map(|app| app.issuers.as_slice()).unwrap_or_default();
        positions.iter().filter_map(|position| self.issuers.get(*position))
    }

    fn is_provable(&self, set: &PolicySet, control: &Control, app: usize, asked: &Asked) -> bool {
        self.accepted(app).any(|issuer| {
            (asked.by_context && issuer.evidence.contexts_satisfy)
                || match control {
                    Control::Mfa => set.evidence.is_mfa_provable_by(issuer.evidence),
                    // A strength that nobody defines is reported as that.
                    Control::Strength(name) => set
                        .strengths
                        .iter()
                        .find(|strength| strength.name == *name)
                        .is_none_or(|strength| strength.is_provable_by(issuer.evidence)),
                    Control::CompliantDevice => issuer.asserts_compliance,
                    Control::HybridJoinedDevice => issuer.asserts_join,
                    Control::ApprovedClientApp => !set.evidence.approved_clients.is_empty(),
                    Control::AppProtection => !set.evidence.protected_clients.is_empty(),
                    Control::PasswordChange | Control::TermsOfUse(_) | Control::Custom(_) => true,
                }
        })
    }

    fn warning(&self, control: &Control, text: &str, at: At, apps: &[&str], asked: &Asked) -> Diagnostic {
        let names = named(apps);
        let (text, is_one) = (shortened(text), apps.len() == 1);
        let what = if is_one {
            format!("no token that app {names} accepts can prove `{text}`")
        } else {
            format!("no token that apps {names} accept can prove `{text}`")
        };
        let issuers = asked.apps.iter().flat_map(|(app, _)| self.accepted(*app));
        let version_2 = issuers.into_iter().find(|issuer| !issuer.evidence.asserts_methods);
        let help = match control {
            Control::Mfa if version_2.is_some() => {
                "map an authentication context that asks for it: `[evidence]` `mfa-contexts = [\"c1\"]` \
                 (deploy/entra-id.md), or name the claim that has it: `[issuer.claims]` `methods = \"…\"`"
            }
            Control::Strength(_) if version_2.is_some() => {
                "map an authentication context that asks for it: a `[[strength]]` of your own with \
                 `contexts = [\"c2\"]` (deploy/entra-id.md)"
            }
            Control::Mfa => "say in `[evidence]` what proves it: `mfa-methods`, `mfa-acrs` or `mfa-contexts`",
            Control::Strength(_) => "give the strength `combinations`, `acrs` or `contexts` that tokens have",
            Control::CompliantDevice => {
                "name the claim that has it: `[issuer.claims]` `device-compliant = \"…\"`; or ask for it by an \
                 authentication context, whose issuer looks at the device"
            }
            Control::HybridJoinedDevice => {
                "name the claim that has it: `[issuer.claims]` `device-trust-type = \"…\"`; or ask for it by an \
                 authentication context, whose issuer looks at the device"
            }
            Control::ApprovedClientApp => "list the client ids: `[evidence]` `approved-clients = [\"…\"]`",
            Control::AppProtection => "list the client ids: `[evidence]` `protected-clients = [\"…\"]`",
            Control::PasswordChange | Control::TermsOfUse(_) | Control::Custom(_) => "name its claim",
        };
        let mut why = "without evidence a control is never met, so nobody gets in by it".to_owned();
        if let Some(url) = version_2.map(|issuer| shortened(&issuer.url)) {
            match control {
                Control::Mfa | Control::Strength(_) => {
                    why.push_str(&format!("; tokens of `{url}` carry neither `amr` nor `acr`"));
                }
                Control::CompliantDevice | Control::HybridJoinedDevice => {
                    why.push_str(&format!("; tokens of `{url}` have no claim of the device by default"));
                }
                _ => {}
            }
        }
        let mut warning = Diagnostic::warning(CODE, at, what).help(help);
        warning.why = Some(why);
        warning
    }
}

fn step_up_warning(control: &Control, text: &str, at: At, apps: &[&str]) -> Diagnostic {
    let (text, names) = (shortened(text), named(apps));
    let plural = if apps.len() == 1 { "" } else { "s" };
    let help = match control {
        Control::Strength(_) => {
            "give the strength the values that the provider takes and gives: a `[[strength]]` of this name with \
             `acrs = [\"…\"]`, or with `contexts` (deploy/providers/README.md)"
        }
        _ => {
            "name the value that the provider takes and gives: `[evidence]` `mfa-acrs = [\"…\"]`, or `mfa-contexts` \
             (deploy/providers/README.md)"
        }
    };
    Diagnostic::warning(CODE, at, format!("no sign-in of app{plural} {names} can be asked for `{text}`"))
        .why("who signed in without it is refused, and is not sent to the provider for it: nothing says what to ask for")
        .help(help)
}

/// The names of apps, as far as a line takes them.
fn named(apps: &[&str]) -> String {
    let more = apps.len().saturating_sub(APPS_NAMED_MAX);
    let mut names =
        apps.iter().take(APPS_NAMED_MAX).map(|app| format!("`{app}`")).collect::<Vec<_>>().join(", ");
    if more > 0 {
        names.push_str(&format!(" and {more} more"));
    }
    names
}
