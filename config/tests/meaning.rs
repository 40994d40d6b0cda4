//! An imported policy is never laxer than Entra's, and never blocks everybody where Entra's does not: held with
//! the decision engine over real policies of which each property in turn is taken away, emptied or doubled.
//!
//! What Entra means is read from the JSON by an evaluator of its own, which shares nothing with the importer.
//! Where nobody can say what a property means, it says [`Tri::Maybe`].
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use portcullis_config::diagnose::render_text;
use portcullis_config::import::entra::read::write;
use portcullis_config::import::entra::{Import, Importer};
use portcullis_config::load::load;
use portcullis_policy::decision::Generation;
use portcullis_policy::model::{ClientAppType, Flow, GuestKind, Platform, RiskLevel};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, Principal, RequestId, SignIn, Signals, Standing,
    Target,
};
use portcullis_policy::{CompiledPolicies, Outcome};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const ADMIN: &str = "62e90394-69f5-4237-9190-012177145e10";
const OFFICE: &str = "0f1ce000-0000-4000-8000-000000000001";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tri {
    No,
    Maybe,
    Yes,
}
use Tri::{Maybe, No, Yes};

impl Tri {
    const fn of(flag: bool) -> Self {
        if flag { Yes } else { No }
    }

    fn and(self, other: Self) -> Self {
        self.min(other)
    }

    fn or(self, other: Self) -> Self {
        self.max(other)
    }

    const fn not(self) -> Self {
        match self {
            No => Yes,
            Maybe => Maybe,
            Yes => No,
        }
    }
}

/// A sign-in, in Entra's words.
#[derive(Clone, Copy)]
struct SignInCase {
    name: &'static str,
    role: Option<&'static str>,
    guest: bool,
    client: &'static str,
    platform: &'static str,
    in_office: bool,
    risk: &'static str,
    flow: Option<&'static str>,
    mfa: bool,
    compliant: bool,
}

const STAFF: SignInCase = SignInCase {
    name: "a browser outside",
    role: None,
    guest: false,
    client: "browser",
    platform: "windows",
    in_office: false,
    risk: "none",
    flow: None,
    mfa: false,
    compliant: false,
};

const SIGN_INS: [SignInCase; 12] = [
    STAFF,
    SignInCase { name: "with MFA", mfa: true, ..STAFF },
    SignInCase { name: "in the office", in_office: true, ..STAFF },
    SignInCase { name: "managed, with MFA", mfa: true, compliant: true, ..STAFF },
    SignInCase { name: "managed, in the office", mfa: true, compliant: true, in_office: true, ..STAFF },
    SignInCase { name: "legacy", client: "other", ..STAFF },
    SignInCase { name: "an app on a phone", client: "mobileAppsAndDesktopClients", platform: "iOS", ..STAFF },
    SignInCase { name: "on Linux", platform: "linux", ..STAFF },
    SignInCase { name: "an administrator", role: Some(ADMIN), ..STAFF },
    SignInCase { name: "a guest", guest: true, ..STAFF },
    SignInCase { name: "at risk", risk: "high", ..STAFF },
    SignInCase { name: "by a device code", flow: Some("deviceCodeFlow"), ..STAFF },
];

/// A member as Graph's clients name it, whatever the case. Two that differ only in case contradict each other.
fn get<'v>(value: &'v Value, key: &str) -> &'v Value {
    const NULL: &Value = &Value::Null;
    let members = value.as_object();
    let exact = members.and_then(|members| members.get(key)).filter(|value| !empty(value));
    let any = || members?.iter().find(|(name, value)| name.eq_ignore_ascii_case(key) && !empty(value));
    exact.or_else(|| any().map(|(_, value)| value)).unwrap_or_else(|| value.get(key).unwrap_or(NULL))
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(empty),
        Value::Object(members) => members.values().all(empty),
        _ => false,
    }
}

/// Null, or an object of nulls.
fn unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => {
            let mut members = members.iter().filter(|(key, _)| !key.contains('@')).peekable();
            members.peek().is_some() && members.all(|(_, value)| unset(value))
        }
        _ => false,
    }
}

/// Whether some text of a list fits; an odd item may.
fn any(list: &Value, fits: impl Fn(&str) -> Tri) -> Tri {
    match list {
        Value::Null => No,
        Value::String(text) => fits(text),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or(if item.is_null() { No } else { Maybe }, &fits))
            .fold(No, Tri::or),
        _ if empty(list) => No,
        _ => Maybe,
    }
}

fn is(text: &str, other: &str) -> Tri {
    Tri::of(text.eq_ignore_ascii_case(other))
}

fn users(conditions: &Value, case: &SignInCase) -> Tri {
    let users = get(conditions, "users");
    let guests = |value: &Value| match value {
        value if empty(value) => No,
        _ if !case.guest => No,
        _ => Maybe,
    };
    let side = |prefix: &str| {
        let people = any(get(users, &format!("{prefix}Users")), |text| {
            is(text, "All").or(Tri::of(case.guest).and(is(text, "GuestsOrExternalUsers")))
        });
        let roles =
            any(get(users, &format!("{prefix}Roles")), |text| case.role.map_or(No, |role| is(text, role)));
        people.or(roles).or(guests(get(users, &format!("{prefix}GuestsOrExternalUsers"))))
    };
    side("include").and(side("exclude").not())
}

fn apps(conditions: &Value, app: &str) -> Tri {
    let apps = get(conditions, "applications");
    let fits = |text: &str| match text.to_ascii_lowercase().as_str() {
        "all" => Yes,
        "none" => No,
        "office365" | "microsoftadminportals" => Maybe,
        // An app to fill in stands for it.
        other if other.starts_with('<') => Maybe,
        other => Tri::of(other == app),
    };
    let filter = if unset(get(apps, "applicationFilter")) { No } else { Maybe };
    let contexts = if empty(get(apps, "includeAuthenticationContextClassReferences")) { No } else { Maybe };
    let include = any(get(apps, "includeApplications"), fits).or(filter).or(contexts);
    let exclude = any(get(apps, "excludeApplications"), fits);
    // A filter in the mode `exclude` may take any app away.
    include.and(exclude.not()).and(if filter == No { Yes } else { Maybe })
}

/// A condition with an include and an exclude.
fn sides(value: &Value, name: &str, fits: impl Fn(&str) -> Tri) -> Tri {
    if unset(value) {
        return Yes;
    }
    let (include, exclude) = (get(value, &format!("include{name}")), get(value, &format!("exclude{name}")));
    let include = if empty(include) { Maybe } else { any(include, &fits) };
    include.and(any(exclude, &fits).not())
}

fn risk(conditions: &Value, key: &str, level: &str) -> Tri {
    match get(conditions, key) {
        Value::Null => Yes,
        Value::Array(items) if items.is_empty() && key != "insiderRiskLevels" => Yes,
        value if empty(value) => Maybe,
        Value::String(text) if text.is_empty() => Maybe,
        value => any(value, |text| text.split(',').map(|part| is(part.trim(), level)).fold(No, Tri::or)),
    }
}

/// Whether the conditions of a policy speak of a sign-in.
fn applies(policy: &Value, case: &SignInCase, app: &str) -> Tri {
    let conditions = get(policy, "conditions");
    let clients = match get(conditions, "clientAppTypes") {
        Value::Null => Yes,
        value if empty(value) => Maybe,
        value => any(value, |text| is(text, "all").or(is(text, case.client))),
    };
    let platforms =
        sides(get(conditions, "platforms"), "Platforms", |text| is(text, "all").or(is(text, case.platform)));
    let locations = sides(get(conditions, "locations"), "Locations", |text| {
        let here = Tri::of(case.in_office);
        match text {
            "All" => Yes,
            "AllTrusted" => here,
            OFFICE => here,
            _ => Maybe,
        }
    });
    let flows = match get(conditions, "authenticationFlows") {
        value if unset(value) => Yes,
        value => match get(value, "transferMethods") {
            Value::String(text) if !text.is_empty() && text != "none" => {
                let one = |part: &str| case.flow.map_or(No, |flow| is(part.trim(), flow));
                text.split(',').map(one).fold(No, Tri::or)
            }
            _ => Maybe,
        },
    };
    let programs = get(get(conditions, "clientApplications"), "includeServicePrincipals");
    const READ: [&str; 9] = [
        "users",
        "applications",
        "clientapptypes",
        "platforms",
        "locations",
        "signinrisklevels",
        "userrisklevels",
        "authenticationflows",
        "insiderrisklevels",
    ];
    let others = conditions.as_object().into_iter().flatten().map(|(key, value)| {
        let known = READ.contains(&key.to_ascii_lowercase().as_str()) || key.contains(['@', '#']);
        let nothing = unset(value) || value.as_array().is_some_and(Vec::is_empty);
        if known || nothing || key.eq_ignore_ascii_case("clientApplications") { Yes } else { Maybe }
    });
    users(conditions, case)
        .and(apps(conditions, app))
        .and(clients)
        .and(platforms)
        .and(locations)
        .and(flows)
        .and(risk(conditions, "signInRiskLevels", case.risk))
        .and(risk(conditions, "userRiskLevels", "none"))
        .and(risk(conditions, "insiderRiskLevels", "none"))
        .and(if empty(programs) { Yes } else { No })
        .and(others.fold(Yes, Tri::and))
}

/// Whether a policy that applies blocks, and whether it refuses until something else is done.
fn asks(policy: &Value, case: &SignInCase) -> (Tri, Tri) {
    let grant = get(policy, "grantControls");
    let blocks = any(get(grant, "builtInControls"), |text| is(text, "block"));
    let mut met: Vec<Tri> = Vec::new();
    for item in get(grant, "builtInControls").as_array().into_iter().flatten().filter(|item| !item.is_null())
    {
        met.push(match item.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("mfa") => Tri::of(case.mfa),
            Some("compliantdevice") => Tri::of(case.compliant),
            Some("domainjoineddevice" | "compliantapplication") => No,
            // As if it were not selected.
            Some("approvedapplication" | "block") => continue,
            _ => Maybe,
        });
    }
    for key in ["termsOfUse", "customAuthenticationFactors", "authenticationStrength"] {
        let value = get(grant, key);
        if !empty(value) {
            met.push(if key == "authenticationStrength" && !case.mfa { No } else { Maybe });
        }
    }
    let all = met.iter().copied().fold(Yes, Tri::and);
    let some = if met.is_empty() { Yes } else { met.iter().copied().fold(No, Tri::or) };
    let met = match get(grant, "operator").as_str() {
        Some(operator) if operator.eq_ignore_ascii_case("OR") => some,
        Some(operator) if operator.eq_ignore_ascii_case("AND") => all,
        _ if met.len() < 2 => all,
        _ => Maybe.and(some).or(all),
    };
    (blocks, blocks.or(met.not()))
}

/// What Entra does: whether it blocks, and whether it lets nobody through as they are.
fn entra(policy: &Value, case: &SignInCase, app: &str) -> (Tri, Tri) {
    let enforced = match policy.get("state").and_then(Value::as_str) {
        Some(state) => Tri::of(state == "enabled"),
        None => Maybe,
    };
    let deleted = if policy.get("deletedDateTime").is_none_or(Value::is_null) { Yes } else { Maybe };
    let applies = applies(policy, case, app).and(enforced).and(deleted);
    let (blocks, refuses) = asks(policy, case);
    (applies.and(blocks), applies.and(refuses))
}

/// The result here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    Granted,
    Refused,
    Blocked,
}

/// The decisions about every sign-in, for each app of the configuration.
type Decisions = Vec<(String, Vec<Here>)>;

fn decide(import: &Import) -> Decisions {
    let folder = tempfile::tempdir().unwrap();
    write(import, folder.path()).unwrap();
    let loaded = load(&folder.path().join("portcullis.toml"));
    let config =
        loaded.config.unwrap_or_else(|| panic!("{}", render_text(&loaded.diagnostics, &loaded.sources)));
    let apps: Vec<String> = config.policies.apps.iter().map(|app| app.id.clone()).collect();
    let policies = CompiledPolicies::compile(config.policies, Generation(1)).unwrap();
    let each = |position: usize| {
        SIGN_INS.iter().map(|case| decide_one(&policies, position, case)).collect::<Vec<Here>>()
    };
    apps.into_iter().enumerate().take(3).map(|(position, app)| (app, each(position))).collect()
}

fn decide_one(policies: &CompiledPolicies, app: usize, case: &SignInCase) -> Here {
    let methods = if case.mfa { vec!["pwd".to_owned(), "mfa".to_owned()] } else { vec!["pwd".to_owned()] };
    let guest = case.guest.then_some(GuestKind::B2bCollaborationGuest);
    let standing = Standing {
        identity: Identity::User { guest, home_tenant: case.guest.then(|| "elsewhere".into()) },
        groups: Fact::Known(vec![]),
        roles: Fact::Known(case.role.map(ToOwned::to_owned).into_iter().collect()),
        sign_in: SignIn { methods, flow: case.flow.map(|_| Flow::DeviceCode), ..SignIn::default() },
        ..Standing::default()
    };
    let principal = Principal { id: "someone".into(), auth_time: Some(NOW - 60), standing: standing.into() };
    let context = ClientContext {
        address: Fact::Known(if case.in_office { "198.51.100.7" } else { "203.0.113.9" }.parse().unwrap()),
        platform: Fact::Known(match case.platform {
            "iOS" => Platform::Ios,
            "linux" => Platform::Linux,
            _ => Platform::Windows,
        }),
        client_app: Fact::Known(match case.client {
            "other" => ClientAppType::Other,
            "browser" => ClientAppType::Browser,
            _ => ClientAppType::MobileAndDesktop,
        }),
        sign_in_risk: Fact::Known(if case.risk == "high" { RiskLevel::High } else { RiskLevel::None }),
        device: if case.compliant {
            Fact::Known(Device { compliant: Some(true), ..Device::default() })
        } else {
            ClientContext::UNKNOWN.device
        },
        ..ClientContext::UNKNOWN
    };
    let decision = policies.decide(
        &policies.bind(&principal),
        &Signals {
            principal: &principal,
            target: Target { app: AppIndex(u32::try_from(app).unwrap()), context: None },
            action: Action { method: "GET", path: "/" },
            context: &context,
            request_id: RequestId(1),
            now: NOW,
        },
    );
    match decision.outcome {
        Outcome::Grant(_) => Here::Granted,
        Outcome::Challenge(_) | Outcome::Deny(_) => Here::Refused,
        Outcome::Block(_) => Here::Blocked,
    }
}

/// Decisions by the files that they hang on: most changes of a policy come to the same.
#[derive(Default)]
struct Judge {
    known: HashMap<BTreeMap<String, String>, Decisions>,
    held: usize,
    enforced: usize,
    faults: Vec<String>,
}

impl Judge {
    fn hold(&mut self, policy: &Value, text: &str, with_office: bool, what: &str) {
        let mut importer = Importer::new(false);
        importer.add("policy.json", text.as_bytes());
        if with_office {
            let office = json!({ "@odata.type": "#microsoft.graph.ipNamedLocation", "id": OFFICE, "displayName": "Office",
                "isTrusted": true, "ipRanges": [{ "cidrAddress": "198.51.100.0/24" }] });
            importer.add("office.json", office.to_string().as_bytes());
        }
        let import = importer.finish();
        self.held += 1;
        if import.report.is_incomplete() {
            return;
        }
        let name = policy.get("displayName").and_then(Value::as_str).unwrap_or_default();
        let about = || format!("{what}: {name}: {policy}");
        let [item] = import.report.policies.as_slice() else {
            self.faults.push(format!("lost with status 0: {}", about()));
            return;
        };
        if item.state != "enabled" {
            let off = policy.get("state").and_then(Value::as_str) != Some("enabled");
            if !off && item.reasons.is_empty() {
                self.faults.push(format!("disabled in silence: {}", about()));
            }
            return;
        }
        self.enforced += 1;
        let key: BTreeMap<String, String> = import
            .files
            .iter()
            .map(|(name, text)| (name.clone(), text.lines().filter(|line| !line.starts_with('#')).collect()))
            .collect();
        let decisions = self.known.entry(key).or_insert_with(|| decide(&import));
        let reported = !item.reasons.is_empty()
            || import.files.values().any(|text| text.contains("# To know:") || text.contains("# TO DO:"));
        for (app, here) in decisions {
            let theirs: Vec<(Tri, Tri)> = SIGN_INS.iter().map(|case| entra(policy, case, app)).collect();
            for ((case, here), (_, refuses)) in SIGN_INS.iter().zip(&*here).zip(&theirs) {
                let laxer = *here == Here::Granted && *refuses == Yes;
                if laxer {
                    self.faults.push(format!("laxer for {} at {app}: {}", case.name, about()));
                }
                let stricter = *here != Here::Granted && *refuses == No;
                if stricter && !reported {
                    self.faults.push(format!("stricter in silence for {} at {app}: {}", case.name, about()));
                }
            }
            let everybody = here.iter().all(|here| *here == Here::Blocked);
            let so_does_entra = theirs.iter().all(|(blocks, _)| *blocks == Yes);
            if everybody && !so_does_entra {
                self.faults.push(format!("blocks everybody at {app}: {}", about()));
            }
        }
    }
}

/// Every place in a value, as a pointer; the root is left out.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let members: Vec<(String, &Value)> = match value {
        // A hundred roles in a row are one case.
        Value::Array(items) => {
            items.iter().enumerate().take(2).map(|(n, item)| (n.to_string(), item)).collect()
        }
        Value::Object(members) => members.iter().map(|(key, item)| (escaped(key), item)).collect(),
        _ => Vec::new(),
    };
    for (key, item) in members {
        let path = format!("{at}/{key}");
        places(item, &path, found);
        found.push(path);
    }
}

fn removed(policy: &Value, place: &str) -> Value {
    let mut policy = policy.clone();
    let (above, key) = place.rsplit_once('/').unwrap();
    match policy.pointer_mut(above).unwrap() {
        Value::Array(items) => {
            items.remove(key.parse().unwrap());
        }
        Value::Object(members) => {
            members.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        _ => {}
    }
    policy
}

fn replaced(policy: &Value, place: &str, value: Value) -> Value {
    let mut policy = policy.clone();
    *policy.pointer_mut(place).unwrap() = value;
    policy
}

/// The changes of one policy at one place, each with its name.
fn changes(policy: &Value, place: &str) -> Vec<(&'static str, Value)> {
    let now = policy.pointer(place).unwrap();
    let mut changes = vec![("removed", removed(policy, place))];
    for (name, value) in [
        ("null", json!(null)),
        ("an empty list", json!([])),
        ("an empty object", json!({})),
        ("an empty text", json!("")),
        ("a list of null", json!([null])),
        ("an unknown word", json!(["<Unknown>"])),
        ("in a list", json!([now])),
        ("a number", json!(7)),
    ] {
        changes.push((name, replaced(policy, place, value)));
    }
    match now {
        Value::Array(items) => {
            changes
                .push(("doubled", replaced(policy, place, json!([items.clone(), items.clone()].concat()))));
            if let [one] = items.as_slice() {
                changes.push(("alone", replaced(policy, place, one.clone())));
            }
        }
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("somethingNew".to_owned(), json!({ "mode": "strict" }));
            changes.push(("with something new", replaced(policy, place, Value::Object(more))));
            let nulls = members.keys().map(|key| (key.clone(), Value::Null)).collect();
            changes.push(("every member null", replaced(policy, place, Value::Object(nulls))));
            let empties = members.keys().map(|key| (key.clone(), json!([]))).collect();
            changes.push(("every member empty", replaced(policy, place, Value::Object(empties))));
        }
        _ => {}
    }
    changes
}

fn enabled(mut policy: Value) -> Value {
    policy.as_object_mut().unwrap().insert("state".to_owned(), json!("enabled"));
    policy
}

fn real_policies() -> Vec<Value> {
    let mut all: Vec<Value> =
        serde_json::from_slice(&std::fs::read("tests/entra/repository.json").unwrap()).unwrap();
    for entry in std::fs::read_dir(Path::new("tests/import")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let text = match bytes.strip_prefix(&[0xff, 0xfe]) {
            Some(wide) => {
                let units = wide.chunks_exact(2).map(|pair| u16::from_le_bytes(pair.try_into().unwrap()));
                String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
            }
            None => String::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}').to_owned(),
        };
        if path.extension().is_some_and(|extension| extension == "json") {
            let value: Value = serde_json::from_str(&text).unwrap();
            let list = value.get("value").and_then(Value::as_array).cloned();
            all.extend(
                list.unwrap_or_else(|| vec![value]).into_iter().filter(|one| one.get("conditions").is_some()),
            );
        }
    }
    all.sort_by_key(ToString::to_string);
    all.dedup();
    all
}

#[test]
fn a_changed_policy_is_never_laxer_than_entra_and_never_blocks_everybody_unless_entra_does() {
    let policies = real_policies();
    assert!(policies.len() >= 60, "{}", policies.len());
    let mut judge = Judge::default();
    for (number, policy) in policies.into_iter().map(enabled).enumerate() {
        for with_office in [true, false] {
            judge.hold(&policy, &policy.to_string(), with_office, "as it is");
        }
        let mut found = Vec::new();
        places(&policy, "", &mut found);
        for (position, place) in found.iter().enumerate() {
            for (name, changed) in changes(&policy, place) {
                let with_office = (number + position).is_multiple_of(2);
                judge.hold(&changed, &changed.to_string(), with_office, &format!("{place}: {name}"));
            }
        }
        // The same key twice in one object: no JSON value can say it, so the text does.
        let text = policy.to_string();
        for key in ["conditions", "grantControls", "state", "users", "builtInControls", "locations"] {
            for written in ["null", "[]", "{}", "\"disabled\""] {
                let doubled =
                    text.replacen(&format!("\"{key}\":"), &format!("\"{key}\":{written},\"{key}\":"), 1);
                judge.hold(&policy, &doubled, true, &format!("{key} twice, once as {written}"));
            }
        }
    }
    println!(
        "{} changed policies, of which {} are enforced, {} distinct",
        judge.held,
        judge.enforced,
        judge.known.len()
    );
    let shown: Vec<&str> =
        judge.faults.iter().take(25).map(|fault| fault.get(..1_500).unwrap_or(fault)).collect();
    assert!(shown.is_empty(), "{} faults, such as\n{}", judge.faults.len(), shown.join("\n"));
    assert!(judge.held > 20_000 && judge.enforced > 2_000, "{} {}", judge.held, judge.enforced);
}

#[test]
fn the_evaluator_of_entra_tells_what_entra_tells() {
    let policy = json!({ "state": "enabled",
        "conditions": { "users": { "includeUsers": ["All"], "excludeRoles": [ADMIN] },
            "applications": { "includeApplications": ["All"] },
            "locations": { "includeLocations": ["All"], "excludeLocations": ["AllTrusted"] } },
        "grantControls": { "operator": "OR", "builtInControls": ["block"] } });
    let outcomes: Vec<Tri> = SIGN_INS.iter().map(|case| entra(&policy, case, "an-app").0).collect();
    assert_eq!(outcomes, [Yes, Yes, No, Yes, No, Yes, Yes, Yes, No, Yes, Yes, Yes]);
    let emptied = replaced(&policy, "/conditions/locations/includeLocations", json!([]));
    assert_eq!(entra(&emptied, &STAFF, "an-app").0, Maybe);
}
