//! One policy: read whole, with every property accounted for, and a judgement on what is left.

use toml::Table;

use super::account::{Field, Property};
use super::assignments::{self, Subjects, Targets};
use super::conditions;
use super::controls::{self, Grant};
use super::json::Json;
use super::reading::{Loss, Needs, Reading, Reason, World};

/// A policy as it was understood; only its own id is still missing.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) entra_id: Option<String>,
    /// The state in Entra, in Entra's word.
    pub(super) entra_state: String,
    /// Other lines for the comment: description, dates, template.
    pub(super) history: Vec<String>,
    /// The state in which it will be written.
    pub(super) state: &'static str,
    pub(super) subjects: Subjects,
    pub(super) targets: Targets,
    pub(super) conditions: Table,
    pub(super) grant: Grant,
    pub(super) session: Table,
    /// Whether `block` stands for what could not be written.
    pub(super) stand_in: bool,
    pub(super) reasons: Vec<Reason>,
    pub(super) remarks: Vec<String>,
    pub(super) placeholders: Vec<String>,
    pub(super) needs: Needs,
    pub(super) properties: Vec<Property>,
}

/// Keys that only the conditions of a policy have.
const CONDITIONS: [&str; 6] =
    ["users", "applications", "clientAppTypes", "clientApplications", "signInRiskLevels", "userRiskLevels"];

/// Whether an object looks like a policy, be it a poor one: what is not taken for a policy is lost.
pub(super) fn is_policy(json: &Json) -> bool {
    let typed = json.get("@odata.type").and_then(Json::text);
    let has = |keys: &[&str]| keys.iter().any(|key| json.get(key).is_some());
    let conditions = json.get("conditions");
    typed.is_some_and(|text| text.to_ascii_lowercase().ends_with("conditionalaccesspolicy"))
        || has(&["grantControls", "sessionControls"])
        || conditions.is_some_and(|conditions| CONDITIONS.iter().any(|key| conditions.get(key).is_some()))
        || conditions.is_some() && has(&["displayName"]) && has(&["state"])
}

/// Reads a policy. `partial` lets a policy be enforced without a part that cannot be.
pub(super) fn read(world: &World, json: &Json, partial: bool) -> Draft {
    let mut reading = Reading::open(world, json);
    let root = Field::root(json);
    let name = name(&mut reading, &root);
    let entra_id = reading.text(&root, "id").map(|(field, id)| {
        reading.adapted(&field, "written as a comment; the id here is made of the display name");
        id.to_owned()
    });
    let history = history(&mut reading, &root);
    let (wanted, entra_state) = state(&mut reading, &root);
    let nothing = Json::Object(Vec::new());
    let conditions_field = reading.object(&root, "conditions").unwrap_or_else(|| {
        reading.reason(Loss::Whole, "it has no conditions, so it is about nobody and nothing");
        Field { json: &nothing, path: "conditions".to_owned() }
    });
    let subjects = assignments::subjects(&mut reading, &conditions_field);
    let targets = assignments::targets(&mut reading, &conditions_field);
    let conditions = conditions::conditions(&mut reading, &conditions_field);
    let all_apps = matches!(&targets, Targets::Apps { sides, filter: None }
        if sides.include == ["all"] && sides.exclude.is_empty());
    let on_user_risk = all_apps && conditions.len() == 1 && conditions.contains_key("user-risk");
    let mut grant = controls::grant(&mut reading, &root, on_user_risk);
    let session = controls::session(&mut reading, &root);
    let stand_in = grant == Grant::Nothing && session.is_empty();
    if stand_in {
        reading.reason(
            Loss::Whole,
            "it asks for nothing that can be enforced here; `block` stands in its place, so that enabling it by \
             mistake lets nobody in",
        );
        grant = Grant::Block;
    }
    reading.settle(&root);
    let state = judged(&reading.reasons, wanted, partial, grant == Grant::Block);
    let Reading { account, reasons, remarks, placeholders, needs, .. } = reading;
    Draft {
        name,
        entra_id,
        entra_state,
        history,
        state,
        subjects,
        targets,
        conditions,
        grant,
        session,
        stand_in,
        reasons,
        remarks,
        placeholders: placeholders.into_iter().collect(),
        needs,
        properties: account.close(),
    }
}

/// The state in which a policy is written, given what cannot be enforced of it.
fn judged(reasons: &[Reason], wanted: &'static str, partial: bool, blocks: bool) -> &'static str {
    let allowed = |reason: &Reason| match reason.loss {
        Loss::Stricter => true,
        Loss::Wider => !blocks,
        Loss::Weaker => partial,
        // A block under fewer conditions would shut out people who were never meant.
        Loss::Condition => partial && !blocks,
        Loss::Unknown | Loss::Whole => false,
    };
    if reasons.iter().all(allowed) { wanted } else { "disabled" }
}

fn name(reading: &mut Reading<'_>, root: &Field<'_>) -> String {
    let Some((field, text)) = reading.text(root, "displayName") else {
        reading.remarks.push("it has no display name in the export".to_owned());
        return "unnamed policy".to_owned();
    };
    let shown: String = text.chars().filter(|c| !super::names::is_hidden(*c)).take(256).collect();
    let shown = shown.trim();
    if shown.is_empty() {
        reading.adapted(&field, "is empty");
        return "unnamed policy".to_owned();
    }
    if shown == text {
        reading.taken(&field, "");
    } else {
        reading.adapted(&field, "written without control characters, and at most 256 characters of it");
    }
    shown.to_owned()
}

/// Properties without effect on decisions that people want to find again.
fn history(reading: &mut Reading<'_>, root: &Field<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for key in ["description", "createdDateTime", "modifiedDateTime", "templateId"] {
        if let Some((field, text)) = reading.text(root, key) {
            reading.adapted(&field, "written as a comment; it has no effect on decisions");
            lines.push(format!("{key}: {text}"));
        }
    }
    if let Some((field, _)) = reading.text(root, "deletedDateTime") {
        reading.refused(&field, Loss::Whole, "the policy was deleted in Entra");
    }
    lines
}

fn state(reading: &mut Reading<'_>, root: &Field<'_>) -> (&'static str, String) {
    let Some((field, text)) = reading.text(root, "state") else {
        reading.reason(Loss::Unknown, "the export does not have its state");
        return ("disabled", "unknown".to_owned());
    };
    let state = match text.to_ascii_lowercase().as_str() {
        "enabled" => "enabled",
        "enabledforreportingbutnotenforced" => "report-only",
        "disabled" => "disabled",
        _ => {
            reading.refused(&field, Loss::Unknown, "is a state that is not known here");
            return ("disabled", text.to_owned());
        }
    };
    reading.taken(&field, "");
    (state, text.to_owned())
}
