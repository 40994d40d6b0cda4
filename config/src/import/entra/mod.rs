//! Conditional Access policies as Microsoft Graph exports them, into files of this format.
//!
//! Every property of every policy is accounted for: taken, adapted or refused. What makes a policy
//! stricter is written and reported; one that would be weaker, or could block people who were never meant, is
//! written as `disabled`, with the reason above it; nothing is dropped in silence, and what is not
//! known is refused. [`Importer`] is fed with files and does no
//! I/O; [`read`] finds and reads them, and writes the result.

mod account;
mod apps;
mod assignments;
mod conditions;
mod controls;
mod json;
mod names;
mod places;
mod policy;
pub mod read;
mod reading;
mod report;
mod write;

use std::collections::BTreeMap;

pub use account::{Outcome, Property};
pub use report::{Item, NotPolicy, Problem, Report};

use account::{Account, Field};
use json::Json;
use names::Wanted;
use policy::Draft;
use reading::{Located, Needs, Reading, World, key};
use report::printable;

/// The most bytes that named locations, and the most that what policies need beside them, may take
/// in the files written: together less than the loader reads of one file.
const LOCATION_BYTES_MAX: usize = 5 << 20;
const NEEDS_BYTES_MAX: usize = 2 << 20;
/// The most policies of one import; each becomes a file.
const POLICIES_MAX: usize = 5_000;
/// The largest file written, in bytes: the most that the loader reads.
const FILE_BYTES_MAX: usize = 8 << 20;
/// The most bytes that the files written may have together: the most that the loader reads.
const OUTPUT_BYTES_MAX: usize = 60 << 20;
/// The most placeholders of one policy that are reported.
const PLACEHOLDERS_SHOWN_MAX: usize = 10;
/// The most bytes that the paths of all properties may take together.
const PATH_BYTES_MAX: usize = 64 << 20;

/// The account of properties, and the files of a whole configuration by their relative path.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// What became of everything.
    pub report: Report,
    /// Relative path and content; `portcullis.toml` is the main file.
    pub files: BTreeMap<String, String>,
}

/// Takes files one after the other and makes a configuration of them.
///
/// ```
/// use portcullis_config::import::entra::Importer;
/// let mut importer = Importer::new(false);
/// importer.add("mfa.json", br#"{"displayName": "MFA for all", "state": "enabled", "conditions": {
///     "users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]}},
///     "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}}"#);
/// let import = importer.finish();
/// assert!(import.files.contains_key("policies/mfa-for-all.toml"));
/// assert_eq!(import.report.policies[0].state, "enabled");
/// ```
#[derive(Debug, Default)]
pub struct Importer {
    partial: bool,
    files: usize,
    objects: usize,
    path_bytes: usize,
    policies: Vec<Raw>,
    locations: Vec<Raw>,
    strengths: Vec<Raw>,
    apps: Vec<Raw>,
    not_policies: Vec<NotPolicy>,
    errors: Vec<Problem>,
}

/// An object as it was found.
#[derive(Debug)]
struct Raw {
    file: String,
    /// Where in the file; empty when it is the whole file.
    place: String,
    /// Its place in the order in which objects were found.
    position: usize,
    json: Json,
}

impl Raw {
    /// A name in Entra, or nothing.
    fn text(&self, key: &str) -> Option<&str> {
        self.json.get(key).and_then(Json::text)
    }
}

impl Importer {
    /// An importer. With `partial`, policies are enforced without the parts that cannot be, where
    /// something is left of them; the files and the report say so.
    #[must_use]
    pub fn new(partial: bool) -> Self {
        Self { partial, ..Self::default() }
    }

    /// Takes one file's content.
    pub fn add(&mut self, file: &str, bytes: &[u8]) {
        self.files += 1;
        match Json::parse(bytes) {
            Ok((json, doubled)) => {
                let keys = doubled.into_iter().map(|key| printable(&key));
                let problem = |message| Problem { file: file.to_owned(), message, lost: false };
                self.errors.extend(keys.map(problem));
                self.document(file, json);
            }
            Err(message) => self.lost(file, message),
        }
    }

    /// Takes note of a file that could not be read.
    pub fn add_unreadable(&mut self, file: &str, problem: &str) {
        self.files += 1;
        self.lost(file, format!("cannot be read: {problem}"));
    }

    fn lost(&mut self, file: &str, message: String) {
        self.errors.push(Problem { file: file.to_owned(), message, lost: true });
    }

    /// Whatever an export puts around policies: nothing, lists, pages of lists, answers of a batch, objects
    /// with a policy under some key, or in a string. What holds none is reported as that.
    fn document(&mut self, file: &str, json: Json) {
        self.search(file, String::new(), json);
    }

    fn search(&mut self, file: &str, place: String, json: Json) {
        match json {
            Json::List(items) => {
                if items.is_empty() {
                    self.not_policy(file, &place, "an empty list");
                }
                for (position, item) in items.into_iter().enumerate() {
                    self.search(file, format!("{place}[{position}]"), item);
                }
            }
            Json::Object(_) if Kind::of(&json).is_some() => self.object(file, place, json),
            Json::Object(_) => self.wrapper(file, place, json),
            Json::Text(text) => match quoted(&text) {
                Some(Ok(json)) => self.search(file, place, json),
                Some(Err(problem)) => {
                    self.lost(file, format!("{}a policy in a string: {problem}", at(&place)));
                }
                None => self.not_policy(file, &place, "a string where a policy is expected"),
            },
            other => {
                let why = format!("{} where a policy is expected", other.kind());
                self.not_policy(file, &place, &why);
            }
        }
    }

    /// An object that is no policy itself.
    fn wrapper(&mut self, file: &str, place: String, json: Json) {
        if let Some(template) = template(&json) {
            return self.not_policy(file, &place, template);
        }
        if let Some(error) = json.get("error").filter(|error| !error.entries().is_empty()) {
            let code = error.get("code").and_then(Json::text).unwrap_or("without a code");
            let code = printable(code);
            let message =
                format!("{}holds an error ({code}) in the place of policies: export it again", at(&place));
            return self.lost(file, message);
        }
        let Json::Object(entries) = json else { return };
        if !entries.iter().any(|(_, value)| holds_policies(value)) {
            let json = Json::Object(entries);
            match fragment(&json, String::new()) {
                // A list of nothing may be beside the notice that it goes on.
                Some(inner) => {
                    let message = format!(
                        "{}has `{}`, which belongs to a policy, but no policy in a form that is known here: export it \
                         as Microsoft Graph has it",
                        at(&place),
                        printable(&inner)
                    );
                    self.lost(file, message);
                }
                None => {
                    let why = seems(&json);
                    self.not_policy(file, &place, &why);
                }
            }
            return self.whole_page(file, &place, json.entries());
        }
        self.whole_page(file, &place, &entries);
        for (key, value) in entries {
            let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            if holds_policies(&value) {
                self.search(file, inner, value);
            } else if !key.starts_with('@') && !value.says_nothing() {
                let why = format!("`{}` beside policies", printable(&inner));
                self.not_policies.push(NotPolicy { file: file.to_owned(), why });
            }
        }
    }

    /// Reports a page that says that there is more than it holds.
    fn whole_page(&mut self, file: &str, place: &str, entries: &[(String, Json)]) {
        let find = |name: &str| {
            entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        if find("@odata.nextLink").is_some_and(|next| *next != Json::Null) {
            let message = "is one page of several: export the pages that follow too (`@odata.nextLink`)";
            self.lost(file, format!("{}{message}", at(place)));
        }
        if let (Some(Json::Number(count)), Some(Json::List(items))) = (find("@odata.count"), find("value"))
            && count.as_u64().is_some_and(|count| count > items.len() as u64)
        {
            let message = format!("says that there are {count} and holds {}: export all pages", items.len());
            self.lost(file, format!("{}{message}", at(place)));
        }
    }

    fn not_policy(&mut self, file: &str, place: &str, why: &str) {
        self.not_policies.push(NotPolicy { file: file.to_owned(), why: format!("{}{why}", at(place)) });
    }

    fn object(&mut self, file: &str, place: String, json: Json) {
        let kind = Kind::of(&json);
        self.objects += 1;
        let raw = Raw { file: file.to_owned(), place, position: self.objects, json };
        let list = match kind {
            Some(Kind::Location) => &mut self.locations,
            Some(Kind::Strength) => &mut self.strengths,
            Some(Kind::App) => {
                self.apps.push(raw);
                return;
            }
            Some(Kind::Policy) | None => &mut self.policies,
        };
        // The account names each property by its path, which nesting can make long.
        let path_bytes = self.path_bytes.saturating_add(account::path_bytes(&raw.json, 0));
        if path_bytes > PATH_BYTES_MAX || list.len() >= POLICIES_MAX {
            let message = "this is more than one import takes; import in several parts";
            let message = format!("{}{message}", at(&raw.place));
            self.lost(file, message);
        } else {
            self.path_bytes = path_bytes;
            list.push(raw);
        }
    }

    /// Makes the configuration.
    #[must_use]
    pub fn finish(mut self) -> Import {
        let order = |one: &Raw, other: &Raw| (&one.file, one.position).cmp(&(&other.file, other.position));
        for list in [&mut self.policies, &mut self.locations, &mut self.strengths, &mut self.apps] {
            list.sort_by(order);
        }
        let mut world = World::default();
        self.apps(&mut world);
        self.strengths(&mut world);
        let (locations, location_items) = self.locations(&mut world);
        let mut files = BTreeMap::new();
        let (items, needs) = self.policies(&world, &mut files);
        let has_countries = world.has_countries;
        files.insert("locations.toml".to_owned(), write::locations(&locations, &needs));
        files.insert("portcullis.toml".to_owned(), write::main(&needs, !items.is_empty(), has_countries));
        if items.is_empty()
            && location_items.is_empty()
            && world.strengths.is_empty()
            && world.apps.is_empty()
        {
            let message = "no policy, named location or strength was found: nothing was imported";
            self.errors.push(Problem {
                file: "all files".to_owned(),
                message: message.to_owned(),
                lost: true,
            });
        }
        self.errors.sort_by(|one, other| (&one.file, &one.message).cmp(&(&other.file, &other.message)));
        self.not_policies.sort_by(|one, other| (&one.file, &one.why).cmp(&(&other.file, &other.why)));
        let report = Report {
            files: self.files,
            policies: items,
            locations: location_items,
            not_policies: self.not_policies,
            errors: self.errors,
        };
        Import { report, files }
    }

    /// Names and attributes of apps, from lists of applications or service principals. An app can be in
    /// both: what one of them lacks, the other may have.
    fn apps(&mut self, world: &mut World) {
        for raw in std::mem::take(&mut self.apps) {
            let name = raw.text("displayName").unwrap_or_default();
            if let Some(id) = raw.text("appId") {
                let app = world.apps.entry(key(id)).or_default();
                if app.name.is_empty() {
                    app.name = printable(name);
                }
                app.is_tunnelled |= apps::is_tunnelled(&raw.json);
                for (name, value) in apps::attributes(&raw.json) {
                    app.attributes.entry(name).or_insert(value);
                }
            }
            let why = format!("an app, whose name and attributes are used: {}", printable(name));
            self.not_policies.push(NotPolicy { file: raw.file, why });
        }
    }

    /// Strengths that policies refer to by id.
    fn strengths(&mut self, world: &mut World) {
        for raw in std::mem::take(&mut self.strengths) {
            let why = format!(
                "an authentication strength, which policies may name: {}",
                printable(raw.text("displayName").unwrap_or_default())
            );
            if let Some(id) = raw.text("id").map(key) {
                let same = |other: &Option<Json>| {
                    let other = other.as_ref().and_then(|json| json.get("allowedCombinations"));
                    other == raw.json.get("allowedCombinations")
                };
                if world.strengths.get(&id).is_some_and(|other| !same(other)) {
                    let message =
                        format!("the strength `{id}` is in the export twice, and differs: export it anew");
                    self.errors.push(Problem { file: raw.file.clone(), message, lost: true });
                    world.strengths.insert(id, None);
                } else {
                    world.strengths.insert(id, Some(raw.json));
                }
            }
            self.not_policies.push(NotPolicy { file: raw.file, why });
        }
    }

    /// Named locations, so that policies find them by Entra's id.
    fn locations(&mut self, world: &mut World) -> (Vec<String>, Vec<Item>) {
        let found = std::mem::take(&mut self.locations);
        let mut by_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (position, raw) in found.iter().enumerate() {
            let id = raw.text("id").map_or_else(|| format!("#{position}"), key);
            by_id.entry(id).or_default().push(position);
        }
        // The same location may come with several files; two that differ contradict each other.
        let mut chosen: Vec<(&str, &Raw)> = Vec::new();
        let (mut written, mut items) = (Vec::new(), Vec::new());
        for (id, positions) in &by_id {
            let raws: Vec<&Raw> = positions.iter().filter_map(|position| found.get(*position)).collect();
            let Some(first) = raws.first() else { continue };
            if raws.iter().all(|raw| raw.json == first.json) {
                chosen.push((id, first));
                continue;
            }
            for raw in raws {
                let message = format!(
                    "the location `{}` is in the export twice, and differs: export it anew",
                    printable(id)
                );
                self.errors.push(Problem { file: raw.file.clone(), message, lost: true });
                let mut account = Account::open(&raw.json);
                let note = "another location has the same id and says something else";
                account.mark(&Field::root(&raw.json), Outcome::Refused, note);
                items.push(location_item(raw, String::new(), vec![note.to_owned()], account));
            }
        }
        let wanted: Vec<Wanted> = chosen
            .iter()
            .map(|(id, raw)| {
                let mut identity = json::Fnv::new();
                identity.feed(id.as_bytes());
                let slug = places::wanted_name(raw.text("displayName").unwrap_or_default());
                Wanted {
                    slug,
                    identity: if id.starts_with('#') { raw.json.fingerprint() } else { identity.0 },
                }
            })
            .collect();
        let mut bytes = 0_usize;
        for ((id, first), name) in chosen.into_iter().zip(names::distinct(&wanted)) {
            let nothing = World::default();
            let mut reading = Reading::open(&nothing, &first.json);
            let content = places::location(&mut reading, &Field::root(&first.json));
            let reasons: Vec<String> = reading.reasons.into_iter().map(|reason| reason.text).collect();
            let display = first.text("displayName").unwrap_or("unnamed location");
            let entra_id = first.text("id").unwrap_or("unknown");
            let mut comment = vec![format!("{display}; in Entra {entra_id}")];
            if !reasons.is_empty() {
                comment
                    .push("NOT WHOLE: policies that include it are written as disabled, because".to_owned());
                comment.extend(reasons.iter().map(|reason| format!("- {reason}")));
            }
            let text = write::location(&comment, &name, &content);
            if bytes + text.len() <= LOCATION_BYTES_MAX {
                bytes += text.len();
                let is_somewhere = content != places::placeholder();
                let located = Located { name: name.clone(), is_whole: reasons.is_empty(), is_somewhere };
                world.locations.insert(id.to_owned(), located);
                world.has_trusted |= content.get("trusted").and_then(toml::Value::as_bool) == Some(true);
                world.location_names.insert(name.clone());
                world.has_countries |= content.contains_key("countries");
                written.push(text);
            } else {
                let message =
                    format!("the location `{name}` is more than one import takes; import in several parts");
                self.lost(&first.file, message);
            }
            items.push(location_item(first, name.clone(), reasons.clone(), reading.account));
            for position in by_id.get(id).into_iter().flatten().skip(1) {
                if let Some(raw) = found.get(*position) {
                    let mut account = Account::open(&raw.json);
                    let note = format!("the same as in {}", printable(&first.file));
                    account.mark(&Field::root(&raw.json), Outcome::Taken, &note);
                    items.push(location_item(raw, name.clone(), reasons.clone(), account));
                }
            }
        }
        (written, items)
    }

    /// Policies, each into a file of its own.
    fn policies(&mut self, world: &World, files: &mut BTreeMap<String, String>) -> (Vec<Item>, Needs) {
        let raws = std::mem::take(&mut self.policies);
        self.twice(&raws);
        let drafts: Vec<Draft> =
            raws.iter().map(|raw| policy::read(world, &raw.json, self.partial)).collect();
        let wanted: Vec<Wanted> = raws
            .iter()
            .zip(&drafts)
            .map(|(raw, draft)| {
                let mut identity = json::Fnv::new();
                match &draft.entra_id {
                    Some(id) => identity.feed(key(id).as_bytes()),
                    None => identity = json::Fnv(raw.json.fingerprint()),
                }
                Wanted { slug: names::slug(&draft.name, "policy"), identity: identity.0 }
            })
            .collect();
        let (mut items, mut needs) = (Vec::new(), Needs::default());
        let (mut bytes, mut needs_bytes) = (0_usize, 0_usize);
        for ((raw, draft), id) in raws.iter().zip(drafts).zip(names::distinct(&wanted)) {
            let content = write::policy(&draft, &id, &raw.file, &raw.place);
            let (more_bytes, more_needs) =
                (bytes + content.len(), needs_bytes + needs.added_bytes(&draft.needs));
            if content.len() > FILE_BYTES_MAX || more_bytes > OUTPUT_BYTES_MAX || more_needs > NEEDS_BYTES_MAX
            {
                let message =
                    format!("the policy `{id}` is larger than can be loaded; import in several parts");
                self.lost(&raw.file, message);
                continue;
            }
            (bytes, needs_bytes) = (more_bytes, more_needs);
            if !draft.placeholders.is_empty() {
                let shown = draft.placeholders.iter().take(PLACEHOLDERS_SHOWN_MAX);
                let mut list: Vec<String> = shown.map(|text| format!("`{}`", printable(text))).collect();
                let more = draft.placeholders.len() - list.len();
                list.extend((more > 0).then(|| format!("{more} more")));
                let message = format!(
                    "the policy `{}` has {} where object ids belong: replace them in the export, or in \
                     `policies/{id}.toml`",
                    printable(&draft.name),
                    list.join(", ")
                );
                self.errors.push(Problem { file: raw.file.clone(), message, lost: false });
            }
            needs.join(draft.needs);
            files.insert(format!("policies/{id}.toml"), content);
            items.push(Item {
                file: raw.file.clone(),
                place: raw.place.clone(),
                name: draft.name,
                id,
                entra_id: draft.entra_id,
                state: draft.state.to_owned(),
                entra_state: draft.entra_state,
                reasons: draft.reasons.into_iter().map(|reason| reason.text).collect(),
                properties: draft.properties,
            });
        }
        items.sort_by(|one, other| one.id.cmp(&other.id));
        (items, needs)
    }

    /// Reports policies whose id appears twice. Both are written: one more can only refuse more.
    fn twice(&mut self, raws: &[Raw]) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for raw in raws {
            let Some(id) = raw.text("id").map(key) else { continue };
            if let Some(first) = seen.get(&id) {
                let message = format!(
                    "the policy with id `{}` is in {} too: both are written; delete one of them",
                    printable(&id),
                    printable(first)
                );
                self.errors.push(Problem { file: raw.file.clone(), message, lost: false });
            } else {
                seen.insert(id, &raw.file);
            }
        }
    }
}

impl Needs {
    /// About how many bytes the files grow by what another needs in addition; never less.
    fn added_bytes(&self, other: &Self) -> usize {
        let apps = other.apps.iter().filter(|(id, _)| !self.apps.contains_key(*id));
        let locations = other.locations.iter().filter(|(name, _)| !self.locations.contains_key(*name));
        let strengths = other.strengths.iter().filter(|(name, _)| !self.strengths.contains_key(*name));
        let apps = apps.map(|(id, app)| {
            let attributes =
                app.attributes.iter().map(|(name, value)| name.len() + value.to_string().len() + 8);
            300 + 2 * id.len() + 8 * app.name.len().min(8_000) + attributes.sum::<usize>()
        });
        let locations = locations.map(|(name, id)| 400 + name.len() + 2 * id.len());
        let strengths = strengths.map(|(_, strength)| {
            let comment = strength.comment.iter().take(50).map(|line| 100 + 2 * line.len().min(8_000));
            400 + comment.sum::<usize>() + strength.combinations.len() * 160
        });
        apps.chain(locations).chain(strengths).fold(0, usize::saturating_add)
    }

    fn join(&mut self, other: Self) {
        for (id, app) in other.apps {
            self.apps.entry(id).or_insert(app);
        }
        self.claims.extend(other.claims);
        self.groups.extend(other.groups);
        self.locations.extend(other.locations);
        for (name, strength) in other.strengths {
            self.strengths.entry(name).or_insert(strength);
        }
    }
}

fn location_item(raw: &Raw, id: String, reasons: Vec<String>, account: Account) -> Item {
    Item {
        file: raw.file.clone(),
        place: raw.place.clone(),
        name: printable(raw.text("displayName").unwrap_or("unnamed location")),
        id,
        entra_id: raw.text("id").map(ToOwned::to_owned),
        state: String::new(),
        entra_state: String::new(),
        reasons,
        properties: account.close(),
    }
}

/// What an object is to an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Policy,
    Location,
    Strength,
    App,
}

impl Kind {
    /// `None` for what is nothing of itself, or only what stands around policies.
    fn of(json: &Json) -> Option<Self> {
        let kind = Self::by_keys(json)?;
        // A tool may put an `appId` of its own beside the policies that it exports.
        let is_beside = |kind| matches!(kind, Self::Policy | Self::Location);
        let stands_around = || json.entries().iter().any(|(_, value)| holds(value, is_beside));
        (is_beside(kind) || !stands_around()).then_some(kind)
    }

    fn by_keys(json: &Json) -> Option<Self> {
        if places::is_location(json) {
            Some(Self::Location)
        } else if policy::is_policy(json) {
            Some(Self::Policy)
        } else if json.get("allowedCombinations").is_some() {
            Some(Self::Strength)
        } else {
            json.get("appId").and_then(Json::text).map(|_| Self::App)
        }
    }
}

/// Whether a policy, a location, a strength or an app is somewhere in a value.
fn holds_policies(json: &Json) -> bool {
    holds(json, |_| true)
}

fn holds(json: &Json, wanted: impl Fn(Kind) -> bool + Copy) -> bool {
    match json {
        Json::List(items) => items.iter().any(|item| holds(item, wanted)),
        Json::Object(entries) => {
            template(json).is_none()
                && (Kind::by_keys(json).is_some_and(wanted)
                    || entries.iter().any(|(_, value)| holds(value, wanted)))
        }
        Json::Text(text) => is_quoted(text),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether a text looks like a policy that a tool wrote into a string.
fn is_quoted(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
        && FRAGMENTS.iter().any(|key| text.contains(&format!("\"{key}\"")))
}

fn quoted(text: &str) -> Option<Result<Json, String>> {
    is_quoted(text).then(|| Json::parse(text.as_bytes()).map(|(json, _)| json))
}

/// Keys that nothing but a policy has.
const FRAGMENTS: [&str; 7] = [
    "grantControls",
    "builtInControls",
    "includeUsers",
    "includeGroups",
    "includeApplications",
    "clientAppTypes",
    "sessionControls",
];

/// The path of the first key within that belongs to a policy.
fn fragment(json: &Json, path: String) -> Option<String> {
    let members: Vec<(String, &Json)> = match json {
        Json::List(items) => {
            items.iter().enumerate().map(|(position, item)| (format!("{path}[{position}]"), item)).collect()
        }
        Json::Object(entries) => {
            let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let known = |key: &str| FRAGMENTS.iter().any(|fragment| fragment.eq_ignore_ascii_case(key));
            if let Some((key, _)) = entries.iter().find(|(key, _)| known(key)) {
                return Some(inner(key));
            }
            entries.iter().map(|(key, value)| (inner(key), value)).collect()
        }
        _ => Vec::new(),
    };
    members.into_iter().find_map(|(path, value)| fragment(value, path))
}

/// A place in a file, in front of a sentence about it.
fn at(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!("at `{}`: ", printable(place)) }
}

/// A template of something else, which may have bodies of requests about policies in it.
fn template(json: &Json) -> Option<&'static str> {
    let schema = json.get("$schema").and_then(Json::text).unwrap_or_default();
    let resources = match json.get("resources") {
        Some(Json::List(items)) => items.as_slice(),
        _ => &[],
    };
    let workflow = resources.iter().any(|item| {
        item.get("type").and_then(Json::text).is_some_and(|text| text.starts_with("Microsoft.Logic/"))
    });
    if workflow || schema.contains("workflowdefinition") {
        return Some("a Logic App workflow definition, which is no policy");
    }
    schema.contains("deploymentTemplate").then_some("an Azure deployment template, which is no policy")
}

/// What a document that is no policy seems to be.
fn seems(json: &Json) -> String {
    match json {
        Json::Object(entries) if entries.is_empty() => "an empty object".to_owned(),
        Json::Object(entries) => {
            let keys: Vec<String> =
                entries.iter().take(5).map(|(key, _)| format!("`{}`", printable(key))).collect();
            format!("an object with {}, without the `conditions` of a policy", keys.join(", "))
        }
        other => format!("{} where a policy is expected", other.kind()),
    }
}
