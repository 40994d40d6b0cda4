//! No spelling of a path that a server takes for the same page gets a laxer outcome than the plain one: it is
//! refused as a request, or judged the same.
//!
//! Spellings are made by the rules of Express 5 (its router: without case, optional slash at the end), of
//! ASP.NET (session ids in paths, `~`, case; Microsoft's documentation, "ASP.NET session state overview",
//! cookieless sessions), of Windows (file names: "Naming Files, Paths, and Namespaces", and NTFS streams),
//! of servers that merge, decode or strip (nginx, Tomcat), and of macOS.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test that cannot go on ends")]

use std::sync::Arc;

use portcullis_policy::decision::Generation;
use portcullis_policy::model::*;
use portcullis_policy::path::{PathCase, PathForm, PathForms, read};
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, NoObserver, Outcome, PolicySet, Reading, Signals};
use proptest::prelude::*;

fn policy(id: &str, grant: Grant, request: Option<RequestCondition>) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: String::new(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into(),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
        conditions: Conditions { request, ..Conditions::default() }.into(),
        session: SessionControls {
            persistent_browser: Some(Persistence::Never),
            ..SessionControls::default()
        },
        grant,
    }
}

fn on(paths: &[PathPattern], exclude: &[PathPattern]) -> Option<RequestCondition> {
    Some(RequestCondition { methods: vec![], paths: paths.to_vec(), exclude_paths: exclude.to_vec() })
}

/// Blocks, demands, and a block with an exclusion.
fn policies() -> CompiledPolicies {
    let below = |path: &str| PathPattern::Subtree(path.into());
    let alone = |path: &str| PathPattern::Exact(path.into());
    let mfa = Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] };
    let set = PolicySet {
        apps: vec![App {
            id: "wiki".into(),
            groups: vec![],
            attributes: vec![],
            assigned: None,
            unmatched: Unmatched::Deny,
            paths: PathCase::Unknown,
        }],
        policies: vec![
            policy("open", Grant::SessionOnly, on(&[below("")], &[])),
            policy("admin", Grant::Block, on(&[below("/admin"), alone("/report.html")], &[])),
            policy("umlaut", Grant::Block, on(&[below("/übung/straße")], &[])),
            policy("pay", mfa, on(&[below("/shop/pay")], &[])),
            policy("closed", Grant::Block, on(&[below("/closed")], &[alone("/closed/door")])),
        ],
        ..PolicySet::default()
    };
    CompiledPolicies::compile(set, Generation(1)).unwrap()
}

const PAGES: [&str; 9] = [
    "/admin",
    "/admin/users/7",
    "/report.html",
    "/übung/straße",
    "/übung/straße/1",
    "/shop/pay",
    "/shop/pay/now",
    "/closed/x",
    "/closed/window",
];

/// How strict what comes of it is; `None` when it is refused as a request, by an app that allows these forms.
fn outcome(policies: &CompiledPolicies, target: &str, allowed: PathForms) -> Option<u8> {
    let path = read(target.as_bytes()).ok()?;
    if path.forms().beyond(allowed).is_some() {
        return None;
    }
    let standing = Standing::default();
    let person = Principal { id: "alice".into(), auth_time: None, standing: Arc::new(standing) };
    let signals = Signals {
        principal: &person,
        target: Target { app: AppIndex(0), context: None },
        action: Action { method: "GET", path: path.written() },
        context: &ClientContext::UNKNOWN,
        request_id: RequestId(7),
        now: 0,
    };
    let others = path.others().iter().map(String::as_str);
    let readings: Vec<Reading<'_>> =
        std::iter::once(path.written()).chain(others).map(|path| Reading { path, context: None }).collect();
    let (_, outcome) =
        policies.decide_readings(&policies.bind(&person), &signals, &readings, &mut NoObserver);
    Some(match outcome {
        Outcome::Grant(_) => 0,
        Outcome::Challenge(_) => 1,
        Outcome::Deny(_) => 2,
        Outcome::Block(_) => 3,
    })
}

/// Another spelling of a path, at a place of it.
#[derive(Clone, Debug)]
enum Change {
    /// Express, ASP.NET, Windows, macOS: other case for some letters.
    Case(u64),
    /// Express: a slash at the end.
    FinalSlash,
    /// All: characters escaped, upper or lower case.
    Escape(u64, bool),
    /// Windows: after a name.
    AfterName(usize, &'static str),
    /// ASP.NET, and all who resolve dots: before a segment.
    BeforeSegment(usize, &'static str),
    /// Another separator.
    Separator(usize, &'static str),
    /// Within a name.
    Within(usize, &'static str),
    /// A letter as another character that some take for it.
    Letter(char, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let after = [
        "",
        ".",
        "..",
        " ",
        ". ",
        "::$DATA",
        ":$I30:$INDEX_ALLOCATION",
        "~1",
        ";x=1",
        ";",
        "\u{a0}",
        "\u{200b}",
        "\u{3000}",
    ];
    let before = ["(S(abc))/", "(A(x)F(y))/", "./", "x/../", "%2e/", "/", ";x/", "\u{feff}", ".;/"];
    let separators = ["//", "\\", "%2F", "%2f", "%5C", "\u{ff0f}", "\u{2215}", "/;/", "%252F", "\u{ff3c}"];
    let within = ["\u{200b}", "\u{ad}", "\u{202e}", "\u{2060}"];
    let letters = [
        ('u', "%75"),
        ('a', "%61"),
        ('ü', "u\u{308}"),
        ('s', "\u{17f}"),
        ('.', "\u{ff0e}"),
        ('.', "%2e"),
        ('k', "\u{212a}"),
        ('i', "\u{131}"),
        ('i', "\u{130}"),
        ('d', "\u{ff44}"),
        ('y', "\u{ff39}"),
    ];
    prop_oneof![
        any::<u64>().prop_map(Change::Case),
        Just(Change::FinalSlash),
        any::<(u64, bool)>().prop_map(|(which, upper)| Change::Escape(which, upper)),
        (0..4_usize, prop::sample::select(after.to_vec())).prop_map(|(at, what)| Change::AfterName(at, what)),
        (0..4_usize, prop::sample::select(before.to_vec()))
            .prop_map(|(at, what)| Change::BeforeSegment(at, what)),
        (0..4_usize, prop::sample::select(separators.to_vec()))
            .prop_map(|(at, what)| Change::Separator(at, what)),
        (0..12_usize, prop::sample::select(within.to_vec())).prop_map(|(at, what)| Change::Within(at, what)),
        prop::sample::select(letters.to_vec()).prop_map(|(letter, what)| Change::Letter(letter, what)),
    ]
}

fn changed(path: &str, change: &Change) -> String {
    let nth_slash = |number: usize| {
        let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        slashes.get(number % slashes.len().max(1)).copied()
    };
    match change {
        Change::Case(which) => path
            .chars()
            .enumerate()
            .map(|(at, char)| {
                let mut upper = char.to_uppercase();
                match (which >> (at % 64) & 1, upper.next(), upper.next()) {
                    (1, Some(upper), None) => upper,
                    _ => char,
                }
            })
            .collect(),
        Change::FinalSlash => format!("{path}/"),
        Change::Escape(which, upper) => path
            .chars()
            .enumerate()
            .map(|(at, char)| {
                if which >> (at % 64) & 1 == 0 || char == '/' || char == '%' {
                    return char.to_string();
                }
                let mut bytes = [0; 4];
                let escape = |byte: &u8| if *upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
                char.encode_utf8(&mut bytes).as_bytes().iter().map(escape).collect()
            })
            .collect(),
        Change::AfterName(at, what) => {
            let end = nth_slash(at + 1).filter(|at| *at > 0).unwrap_or(path.len());
            format!("{}{what}{}", &path[..end], &path[end..])
        }
        Change::BeforeSegment(at, what) => {
            let begin = nth_slash(*at).map_or(0, |at| at + 1);
            format!("{}{what}{}", &path[..begin], &path[begin..])
        }
        Change::Separator(at, what) => match nth_slash(*at) {
            Some(slash) => format!("{}{what}{}", &path[..slash], &path[slash + 1..]),
            None => path.to_owned(),
        },
        Change::Within(at, what) => {
            let place = path.char_indices().map(|(at, _)| at).nth(at + 1).unwrap_or(path.len());
            format!("{}{what}{}", &path[..place], &path[place..])
        }
        Change::Letter(letter, what) => path.replacen(*letter, what, 1),
    }
}

/// As a client sends it: what is no ASCII, and a space, are escaped.
fn sent(path: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    path.bytes().map(escape).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_spelling_of_a_page_gets_a_laxer_outcome_than_the_plain_one(
        page in prop::sample::select(&PAGES[..]),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let policies = policies();
        let plain = outcome(&policies, &sent(page), PathForms::EMPTY).unwrap();
        prop_assert!(plain > 0, "{page}");
        let spelled = changes.iter().fold(page.to_owned(), |path, change| changed(&path, change));
        if let Some(found) = outcome(&policies, &sent(&spelled), PathForms::EMPTY) {
            prop_assert!(found >= plain, "{page} as {spelled}: {found} instead of {plain}");
        }
    }
}

/// An app that takes decomposed paths gets them under the same rules, in each spelling.
#[test]
fn canonical_equivalents_get_the_same_outcome_where_they_are_allowed() {
    let (policies, allowed) = (policies(), PathForms::EMPTY.with(PathForm::Decomposed));
    for page in ["/u\u{308}bung/straße", "/U\u{308}bung/straße/1"] {
        assert_eq!(outcome(&policies, &sent(page), allowed), Some(3), "{page}");
        assert_eq!(outcome(&policies, &sent(page), PathForms::EMPTY), None, "{page}");
    }
    assert_eq!(outcome(&policies, "/u%CC%88bung", allowed), Some(0));
}

/// A path that is another page is not refused for it: the law above would hold of a proxy that refuses all.
#[test]
fn other_pages_pass_and_the_usual_spellings_are_judged_and_not_refused() {
    let policies = policies();
    for (target, expected) in [
        ("/", Some(0)),
        ("/administrator", Some(0)),
        ("/Report.HTML/", Some(3)),
        ("/ADMIN/", Some(3)),
        ("/%C3%9Cbung/STRA%C3%9FE/1", Some(3)),
        ("/%C3%9Cbung/STRA%E1%BA%9EE/1", Some(3)),
        ("/Shop/Pay", Some(1)),
        ("/closed/door", Some(0)),
        ("/closed/Door", Some(3)),
        ("/wiki/C%23", Some(0)),
        ("/admin%2Fx", None),
    ] {
        assert_eq!(outcome(&policies, target, PathForms::EMPTY), expected, "{target}");
    }
}
