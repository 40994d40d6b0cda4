//! What is wrong with a set that compiles: policies that can never apply, that others make moot, that
//! contradict or shut everybody out, and apps and people that no policy covers.
//!
//! Each finding but "never applies" carries a request as witness. The reference says what it comes to, and
//! the engine must say the same. Conditions are independent of one another, so each is searched over the
//! values at which anything in the policies can change its answer; those of rules are made from the rules, and
//! where they are not all there are, nothing is said of what was not found. The engine finds which policies
//! apply to the same request, so the cost grows with these and not with every pair.
//!
//! The search is bounded in steps, not in time, so that a set has the same findings everywhere; what was
//! left out is a finding of its own.

mod people;
mod sample;
mod search;
mod values;
mod witness;

pub use sample::{Sample, sample};

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::decision::PolicyIndex;
use crate::model::{
    App, Conditions, Grant, Operator, Policy, PolicySet, PolicyState, SessionControls, Subjects, Targets,
    Unmatched, UserSelector,
};
use crate::reference::{Conclusion, Part};
use crate::signals::{AppIndex, OwnedSignals, Principal, Target};
use crate::words;
use search::{Analysis, NoWitness, Subject};
use values::satisfied;
use witness::{decided, evaluated};

/// One finding.
#[derive(Clone, Debug)]
pub struct Issue {
    /// What kind.
    pub kind: IssueKind,
    /// The policies that it is about.
    pub policies: Vec<PolicyIndex>,
    /// The app that it is about.
    pub app: Option<AppIndex>,
    /// What is wrong, lower case, without a full stop.
    pub what: String,
    /// How to mend it.
    pub help: &'static str,
    /// A request that shows it.
    pub witness: Option<OwnedSignals>,
    /// What the whole set says to the witness.
    pub conclusion: Option<Conclusion>,
}

words! {
    /// The kinds of findings.
    pub enum IssueKind {
        /// No request can make the policy apply.
        NeverApplies = "never-applies",
        /// Another policy blocks whatever this one applies to.
        Shadowed = "shadowed",
        /// Another policy asks at least as much wherever this one applies.
        Redundant = "redundant",
        /// Who meets one policy is blocked by another.
        Contradiction = "contradiction",
        /// A policy demands what no sign-in can bring.
        Unsatisfiable = "unsatisfiable",
        /// A block of everybody that spares nobody.
        LockOut = "lock-out",
        /// An app that no enforced policy speaks of.
        AppUncovered = "app-uncovered",
        /// People for whom no enforced policy of an app speaks.
        PeopleUncovered = "people-uncovered",
        /// A device rule that rests on attributes which users can change.
        ChangeableDevice = "changeable-device",
        /// What was not searched to the end, for it takes more steps than one analysis has.
        Unfinished = "unfinished",
        /// The engine and the reference disagree about the witness: a defect of this program.
        Disputed = "disputed",
    }
}

/// How many steps the policies have together, and the apps. A step is a selector, some networks or a
/// part of a condition looked at: a few nanoseconds.
const STEPS_MAX: u64 = 16_000_000_000;
/// How many of them one policy or app may take, so that a single one cannot starve the others.
const STEPS_OF_ONE_MAX: u64 = STEPS_MAX / 50;
/// How many kinds of people who are covered by nothing are reported for one app.
const PEOPLE_MAX: usize = 8;

/// Analyses a set at a time in Unix seconds. The findings come in order of policies and apps; a set that
/// does not compile has none.
///
/// # Cost
/// Linear in the policies, times those that apply to the same request and the values that these name;
/// allocates. For an administrator who asks, never on the request path. It ends after a fixed number of
/// steps, about a minute at most; [`IssueKind::Unfinished`] then says what was left out.
#[must_use]
pub fn analyze(set: &PolicySet, now: i64) -> Vec<Issue> {
    analyze_within(set, now, STEPS_MAX, STEPS_OF_ONE_MAX)
}

fn analyze_within(set: &PolicySet, now: i64, steps: u64, steps_of_one: u64) -> Vec<Issue> {
    let Some(mut analysis) = Analysis::new(set, now) else { return Vec::new() };
    let mut issues = Vec::new();
    let mut left = steps;
    let mut unfinished = Vec::new();
    for (policy, position) in set.policies.iter().zip(0_u32..) {
        if policy.state != PolicyState::Disabled {
            analysis.grant_steps(left.min(steps_of_one));
            let mut found = Vec::new();
            analysis.policy(policy, PolicyIndex(position), &mut found);
            left = left.saturating_sub(analysis.steps_taken());
            // Nothing was found is no finding when the search was cut short.
            if analysis.is_exhausted() {
                unfinished.push(PolicyIndex(position));
            } else {
                issues.append(&mut found);
            }
        }
    }
    left = steps;
    let mut apps = Vec::new();
    for (app, position) in set.apps.iter().zip(0_u32..) {
        analysis.grant_steps(left.min(steps_of_one));
        let mut found = Vec::new();
        analysis.app(app, AppIndex(position), &mut found);
        left = left.saturating_sub(analysis.steps_taken());
        if analysis.is_exhausted() {
            apps.push(app.id.as_str());
        } else {
            issues.append(&mut found);
        }
    }
    issues.extend(left_out(set, unfinished, &apps));
    issues
}

/// Says what was left out, if anything was.
fn left_out(set: &PolicySet, policies: Vec<PolicyIndex>, apps: &[&str]) -> Option<Issue> {
    if policies.is_empty() && apps.is_empty() {
        return None;
    }
    let mut what = format!(
        "{} of {} policies and {} of {} apps were not searched to the end",
        policies.len(),
        set.policies.len(),
        apps.len(),
        set.apps.len()
    );
    if let Some(first) = policies.first().and_then(|index| set.policies.get(index.0 as usize)) {
        what.push_str(&format!(": policies from `{}` on", first.id.as_str()));
    }
    if let Some(app) = apps.first() {
        what.push_str(&format!("; apps from `{app}` on"));
    }
    Some(Issue {
        kind: IssueKind::Unfinished,
        policies,
        app: None,
        what,
        help: "analyze a part of the policies at a time; what was found above holds all the same",
        witness: None,
        conclusion: None,
    })
}

impl Analysis<'_> {
    /// An issue with its witness, unless the two that were asked about it disagree.
    fn issue(
        &self,
        kind: IssueKind,
        policies: Vec<PolicyIndex>,
        what: String,
        help: &'static str,
        witness: OwnedSignals,
    ) -> Issue {
        let (conclusion, agreed) = self.conclude(&witness);
        let (kind, help) = match agreed {
            true => (kind, help),
            false => {
                (IssueKind::Disputed, "the engine decides otherwise than the reference: please report this")
            }
        };
        let app = Some(witness.target.app);
        Issue { kind, policies, app, what, help, witness: Some(witness), conclusion: Some(conclusion) }
    }

    fn policy(&self, policy: &Policy, position: PolicyIndex, issues: &mut Vec<Issue>) {
        let one = Vec::from([position]);
        let id = policy.id.as_str();
        if self.set.apps.is_empty() {
            return;
        }
        let subject = Subject { policy, position };
        let witness = match self.witness(subject) {
            Ok(witness) => witness,
            // Of what was not found among those that were tried nothing is said: it may well be live.
            Err(NoWitness::NotFound) => return,
            Err(NoWitness::Impossible(part)) => {
                let what = format!("`{id}` can never apply: nothing matches its {}", part.as_str());
                let help = "mend that part: a policy that never applies protects nothing";
                issues.push(Issue {
                    kind: IssueKind::NeverApplies,
                    policies: one,
                    app: None,
                    what,
                    help,
                    witness: None,
                    conclusion: None,
                });
                return;
            }
        };
        if policy.state == PolicyState::Enabled {
            self.others(subject, &witness, issues);
            if locks_out(policy) && matches!(decided(&witness, &self.engine), Conclusion::Block(_)) {
                let what = format!("`{id}` blocks everybody it meets and spares no emergency access");
                let help = "exclude a group or two accounts for emergency access";
                issues.push(self.issue(IssueKind::LockOut, one.clone(), what, help, witness.clone()));
            }
            if let Some(failing) = self.unsatisfied(subject, &witness) {
                let what = format!("`{id}` demands what no sign-in can bring");
                let help = "configure the evidence for its controls, or demand another";
                issues.push(self.issue(IssueKind::Unsatisfiable, one.clone(), what, help, failing));
            }
        }
        if let Some(filter) = &policy.conditions.device
            && rests_on_changeable(filter.rule.source())
        {
            let what = format!("the device rule of `{id}` rests on attributes that a user can change");
            let help = "add an attribute that the directory sets: `isCompliant`, `trustType`, `deviceId`";
            issues.push(self.issue(IssueKind::ChangeableDevice, one, what, help, witness));
        }
    }

    /// How a policy stands to those that apply beside it.
    fn others(&self, subject: Subject<'_>, witness: &OwnedSignals, issues: &mut Vec<Issue>) {
        let Subject { policy, position } = subject;
        let choice = values::choices(self.set, policy).into_iter().next().unwrap_or_default();
        let satisfied = satisfied(self.set, policy, witness, &choice);
        let mut beside = self.beside(witness);
        beside.extend(self.beside(&satisfied));
        for index in beside {
            let Some(other) = self.set.policies.get(index.0 as usize) else { continue };
            if index == position || other.state != PolicyState::Enabled || self.is_exhausted() {
                continue;
            }
            let (id, name) = (policy.id.as_str(), other.id.as_str());
            let both = Vec::from([position, index]);
            let rival = Subject { policy: other, position: index };
            // Of two that are the same, the later one is reported.
            let covers = || {
                self.applies(rival, witness)
                    && self.covers(rival, subject)
                    && (policy.grant != other.grant || index < position || !self.covers(subject, rival))
            };
            if other.grant == Grant::Block && covers() {
                let what = format!("`{name}` blocks everything that `{id}` applies to");
                let help = "remove one of them, or exclude from the block what is meant to pass";
                issues.push(self.issue(IssueKind::Shadowed, both, what, help, witness.clone()));
            } else if asks_no_more(policy, other) && covers() {
                let what = format!("`{name}` asks at least as much wherever `{id}` applies");
                let help = "remove it, or say what it adds";
                issues.push(self.issue(IssueKind::Redundant, both, what, help, witness.clone()));
            } else if other.grant == Grant::Block
                && policy.grant != Grant::Block
                && !self.applies(rival, witness)
                && self.applies(subject, &satisfied)
                && self.applies(rival, &satisfied)
            {
                let what = format!("who meets `{id}` is blocked by `{name}`");
                let help = "change the device rule of one of them";
                issues.push(self.issue(IssueKind::Contradiction, both, what, help, satisfied.clone()));
            }
        }
    }

    /// A request with every proof there is that a policy still refuses.
    fn unsatisfied(&self, subject: Subject<'_>, witness: &OwnedSignals) -> Option<OwnedSignals> {
        let policy = subject.policy;
        if !matches!(policy.grant, Grant::Require { .. }) {
            return None;
        }
        let app = self.set.apps.get(witness.target.app.0 as usize)?;
        // The policy's demand alone: no conditions, and nobody else to ask.
        let alone = PolicySet {
            policies: Vec::from([Policy {
                conditions: Conditions::default().into(),
                session: SessionControls::default(),
                ..policy.clone()
            }]),
            apps: Vec::from([App { assigned: None, unmatched: Unmatched::Allow, ..app.clone() }]),
            locations: Vec::new(),
            strengths: self.set.strengths.clone(),
            evidence: self.set.evidence.clone(),
        };
        let mut failing = None;
        for choice in values::choices(self.set, policy) {
            let best = satisfied(self.set, policy, witness, &choice);
            let target = Target { app: AppIndex(0), ..best.target };
            let asked = OwnedSignals { target, ..best.clone() };
            // A device that meets the demand may no longer match the filter; then the policy is satisfied.
            if matches!(evaluated(&asked, &alone), Conclusion::Grant(_)) || !self.applies(subject, &best) {
                return None;
            }
            failing = Some(best);
        }
        failing
    }

    fn app(&self, app: &App, index: AppIndex, issues: &mut Vec<Issue>) {
        let plain = self.plain(index);
        let enabled = self.set.policies.iter().zip(0_u32..);
        let mut speaking: Vec<Subject<'_>> = enabled
            .map(|(policy, position)| Subject { policy, position: PolicyIndex(position) })
            .filter(|one| one.policy.state == PolicyState::Enabled)
            .filter(|one| match *one.policy.targets {
                Targets::Apps(_) => self.holds(*one, Part::Application, &plain),
                Targets::Contexts(_) => false,
            })
            .collect();
        let happens = match app.unmatched {
            Unmatched::Deny => "nobody",
            Unmatched::Allow => "everybody whom nothing else stops",
        };
        let help = match app.unmatched {
            Unmatched::Deny => "let an enabled policy include it",
            Unmatched::Allow => {
                "let an enabled policy include it, or write `unmatched = \"deny\"` into the app"
            }
        };
        if speaking.is_empty() {
            let what = format!("no enforced policy speaks of app `{}`: {happens} is let in", app.id);
            issues.push(self.issue(IssueKind::AppUncovered, Vec::new(), what, help, plain));
            return;
        }
        // Those that spare the fewest first: who is covered by one without excludes cannot slip through.
        speaking.retain(|one| matches!(*one.policy.subjects, Subjects::Users(_)));
        speaking.sort_by_key(|one| one.excludes().len());
        let people = self.uncovered(app, &speaking, &plain);
        if let Some(first) = people.first() {
            let names: BTreeSet<String> = people.iter().map(people::name).collect();
            let names: Vec<String> = names.into_iter().collect();
            let what = format!(
                "no enforced policy of app `{}` speaks of {}: of them {happens} is let in",
                app.id,
                names.join("; ")
            );
            let witness = OwnedSignals { principal: first.clone(), ..plain };
            let help = "if this is not meant, let a policy include them";
            issues.push(self.issue(IssueKind::PeopleUncovered, Vec::new(), what, help, witness));
        }
    }

    /// People who may use an app and whom no policy is about. Who is covered must be excluded to get out,
    /// so each exclude is followed until nobody covers any more.
    fn uncovered(&self, app: &App, speaking: &[Subject<'_>], plain: &OwnedSignals) -> Vec<Principal> {
        let selectors = speaking.iter().flat_map(|one| one.includes().iter().chain(one.excludes()));
        let tenants = people::tenants(selectors.chain(app.assigned.iter().flatten()));
        let nobody = people::somebody();
        let mut open: Vec<Principal> = match &app.assigned {
            None => Vec::from([nobody]),
            Some(assigned) => assigned.iter().flat_map(|one| people::with(&nobody, one, &tenants)).collect(),
        };
        open.reverse();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some(one) = open.pop() {
            if found.len() >= PEOPLE_MAX || self.is_exhausted() {
                break;
            }
            if !seen.insert(people::name(&one)) {
                continue;
            }
            let asked = OwnedSignals { principal: one.clone(), ..plain.clone() };
            match speaking.iter().find(|policy| self.holds(**policy, Part::Users, &asked)) {
                None => found.push(one),
                Some(covering) => {
                    let excludes = covering.excludes().iter().rev();
                    open.extend(excludes.flat_map(|exclude| people::with(&one, exclude, &tenants)));
                }
            }
        }
        found
    }
}

/// Whether `less` demands nothing that `more` does not demand too.
fn asks_no_more(less: &Policy, more: &Policy) -> bool {
    let (Grant::Require { operator, controls }, Grant::Require { operator: Operator::And, controls: all }) =
        (&less.grant, &more.grant)
    else {
        return false;
    };
    let met = match operator {
        Operator::And => controls.iter().all(|control| all.contains(control)),
        Operator::Or => controls.iter().any(|control| all.contains(control)),
    };
    met && (less.session == SessionControls::default() || less.session == more.session)
}

/// A block of everybody without anybody who is spared by name, group or role.
fn locks_out(policy: &Policy) -> bool {
    let Subjects::Users(users) = &*policy.subjects else { return false };
    policy.grant == Grant::Block
        && users.include.contains(&UserSelector::All)
        && !users.exclude.iter().any(|one| {
            matches!(
                one,
                UserSelector::All | UserSelector::User(_) | UserSelector::Group(_) | UserSelector::Role(_)
            )
        })
}

/// Whether a rule speaks of devices only by attributes that a user can change on the device.
fn rests_on_changeable(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    let mut names = lower
        .split("device.")
        .skip(1)
        .map(|rest| rest.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default());
    let changeable = |name: &str| matches!(name, "displayname" | "model" | "manufacturer");
    lower.contains("device.") && names.all(changeable)
}

#[cfg(test)]
mod tests;
