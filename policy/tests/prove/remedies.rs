//! What is suggested to a user is what trying everything finds: every smallest set of changes, and nothing else. Tried is
//! each value that the search knows of, by the reference evaluator, in thousands of generated configurations.

mod brute;
mod scenes;

use portcullis_policy::model::*;
use portcullis_policy::reference::{Tri, evaluate};
use portcullis_policy::remedy::{self, Candidates, Finding, Installation, Remedies, Remedy};
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, PolicySet};

use crate::world::{Choices, Question, cases, compile, question};
use brute::{BruteForce, kind};

/// The bytes of a seed, by Sebastiano Vigna's SplitMix64: the same everywhere, for ever.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x2545_F491_4F6C_DD1D);
    let words = (0..100).flat_map(|_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    });
    words.collect()
}

/// Where the addresses of these worlds lie.
fn country_of(address: std::net::IpAddr) -> Fact<CountryCode> {
    let code = |text| Fact::Known(CountryCode::new(text).unwrap());
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => match address.octets() {
            [203, 0, 113, 0..=127] => code("DE"),
            [203, 0, 113, _] => code("KP"),
            [198, ..] => code("NO"),
            [10, ..] => Fact::Unknown,
            _ => code("US"),
        },
        std::net::IpAddr::V6(address) => match address.segments() {
            [0x2001, 0xdb8, 0, ..] => code("DE"),
            [0x2001, 0xdb8, 0xffff, ..] => Fact::Unavailable,
            _ => code("US"),
        },
    }
}

fn find_with(
    compiled: &CompiledPolicies,
    question: &Question,
    has_countries: bool,
    tells_sign_in: bool,
) -> Remedies {
    let candidates = Candidates::new(compiled, has_countries.then_some(&country_of as &dyn Fn(_) -> _));
    let installation =
        Installation { candidates: &candidates, tells_sign_in, steps_max: remedy::STEPS_MAX * 50 };
    remedy::find(compiled, &compiled.bind(&question.principal), &question.signals(), &[], &installation)
}

fn find(compiled: &CompiledPolicies, question: &Question) -> Vec<Vec<Remedy>> {
    let found = find_with(compiled, question, true, true);
    found.alternatives.into_iter().map(|one| one.changes).collect()
}

/// What the worlds were like, so that a generator which makes none of a kind is noticed.
#[derive(Debug, Default)]
struct Seen {
    worlds: u32,
    found: u32,
    sets: [u32; 4],
    only_administrator: u32,
    not_found: u32,
    not_told: u32,
    waiting: u32,
    let_in: u32,
    incomplete: u32,
    kinds: std::collections::BTreeMap<&'static str, u32>,
}

/// Holds the search to brute force in one world.
fn check(seed: u64, set: &PolicySet, question: &Question, seen: &mut Seen) {
    let compiled = compile(set.clone());
    // One installation in eight has no source of countries, one in eight an issuer that tells nothing.
    let (has_countries, tells) = (seed % 8 != 3, seed % 8 != 5);
    let found = find_with(&compiled, question, has_countries, tells);
    seen.worlds += 1;
    let evaluation = evaluate(set, &question.signals());
    match evaluation.conclusion.refused() {
        None => {
            assert_eq!(found.finding, Finding::LetIn, "seed {seed}");
            seen.let_in += 1;
            return;
        }
        Some(refused) if refused.temporary => {
            assert_eq!(found.finding, Finding::Waiting, "seed {seed}");
            seen.waiting += 1;
            return;
        }
        Some(_) => {}
    }
    let candidates = Candidates::new(&compiled, has_countries.then_some(&country_of as &dyn Fn(_) -> _));
    let installation = Installation { candidates: &candidates, tells_sign_in: tells, steps_max: 0 };
    let brute = BruteForce::new(set, &compiled, question, &installation);
    let (told, untold) = brute.smallest(tells);
    let sets: Vec<Vec<Remedy>> = found.alternatives.iter().map(|one| one.changes.clone()).collect();
    let kinds: Vec<Vec<&str>> = sets.iter().map(|set| set.iter().map(|one| kind(*one)).collect()).collect();
    let mut sorted = kinds.clone();
    sorted.sort();
    let context =
        || format!("seed {seed}\nfound {found:?}\nbrute {told:?} untold {untold:?}\n{question:#?}\n{set:#?}");
    assert_eq!(sorted, told, "{}", context());
    // Smaller sets come first.
    assert!(kinds.windows(2).all(|two| two[0].len() <= two[1].len()), "{}", context());
    // The moment that is named is the first.
    for changes in &sets {
        for change in changes {
            if let Remedy::LaterTime { at } = change {
                let kinds: Vec<&str> = changes.iter().map(|one| kind(*one)).collect();
                assert_eq!(brute.earliest(&kinds), Some(*at), "{}", context());
            }
        }
    }
    let nobody = evaluation.assigned != Tri::Yes;
    if nobody {
        // Before any policy is asked.
        assert_eq!(found.finding, Finding::OnlyAdministrator, "{}", context());
    } else if !brute.is_complete() {
        assert!(!found.is_exhaustive && found.finding != Finding::OnlyAdministrator, "{}", context());
        seen.incomplete += 1;
    } else {
        assert!(found.is_exhaustive, "{}", context());
        let expected = match (told.is_empty(), untold.is_empty()) {
            (false, _) => Finding::Found,
            (true, false) => Finding::SignInNotTold,
            (true, true) if brute.is_anything_enough() => Finding::NotFound,
            (true, true) => Finding::OnlyAdministrator,
        };
        assert_eq!(found.finding, expected, "{}", context());
    }
    for policy in &found.unavoidable {
        assert!(brute.is_unavoidable(*policy), "{policy:?} {}", context());
    }
    match found.finding {
        Finding::Found => seen.found += 1,
        Finding::OnlyAdministrator => seen.only_administrator += 1,
        Finding::NotFound => seen.not_found += 1,
        Finding::SignInNotTold => seen.not_told += 1,
        Finding::LetIn | Finding::Waiting => {}
    }
    for set in &kinds {
        seen.sets[set.len()] += 1;
        set.iter().for_each(|kind| *seen.kinds.entry(kind).or_default() += 1);
    }
}

/// Runs some of the seeds: the test binary spreads them over its threads.
fn share(number: u64, of: u64) {
    let mut seen = Seen::default();
    for seed in (0..u64::from(cases())).filter(|seed| seed % of == number) {
        let bytes = bytes(seed);
        let mut choices = Choices::new(&bytes);
        let (set, question) = scenes::scene(&mut choices, seed);
        check(seed, &set, &question, &mut seen);
    }
    if cases() >= 10_000 {
        let enough = seen.found > seen.worlds / 5
            && seen.only_administrator > seen.worlds / 50
            && seen.not_found > 0
            && seen.sets.iter().skip(1).all(|sets| *sets > seen.worlds / 50)
            && seen.kinds.len() >= 15;
        assert!(enough, "the worlds are not varied enough: {seen:?}");
    }
}

#[test]
fn the_search_is_brute_force_1() {
    share(0, 4);
}

#[test]
fn the_search_is_brute_force_2() {
    share(1, 4);
}

#[test]
fn the_search_is_brute_force_3() {
    share(2, 4);
}

#[test]
fn the_search_is_brute_force_4() {
    share(3, 4);
}

/// A world in which everybody is let in but by these policies, and somebody at an address, without a device.
fn at(policies: Vec<Policy>, address: &str) -> (CompiledPolicies, Question) {
    let mut set = crate::world::policy_set(&mut Choices::new(&[]), 0);
    set.apps.iter_mut().for_each(|app| app.unmatched = Unmatched::Allow);
    set.policies = policies;
    let mut question = question(&mut Choices::new(&[]));
    let address: std::net::IpAddr = address.parse().unwrap();
    question.context.address = Fact::Known(address);
    question.context.country = country_of(address);
    (compile(set), question)
}

fn block(id: &str, change: impl FnOnce(&mut Conditions)) -> Policy {
    let mut block = crate::world::policy(&mut Choices::new(&[]), id);
    (block.grant, block.session, block.state) =
        (Grant::Block, SessionControls::default(), PolicyState::Enabled);
    block.subjects = Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into();
    block.targets = Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into();
    let mut conditions = Conditions::default();
    change(&mut conditions);
    block.conditions = conditions.into();
    block
}

fn located(id: &str, include: &[&str], exclude: &[&str]) -> Policy {
    let named = |names: &[&str]| {
        let one = |name: &&str| match *name {
            "all" => LocationSelector::All,
            name => LocationSelector::Named(name.into()),
        };
        names.iter().map(one).collect()
    };
    block(id, |conditions| {
        conditions.locations = Some(Locations { include: named(include), exclude: named(exclude) });
    })
}

#[test]
fn who_comes_by_a_vpn_from_a_blocked_country_is_told_to_leave_it() {
    // North Korea is blocked, and nothing else is named.
    let (compiled, question) = at(vec![located("sanctions", &["far-countries"], &[])], "203.0.113.200");
    assert_eq!(find(&compiled, &question), [vec![Remedy::LeaveNetwork]]);
    let found = find_with(&compiled, &question, true, true);
    assert_eq!((found.finding, found.is_exhaustive), (Finding::Found, true));
}

#[test]
fn a_vpn_whose_network_is_blocked_is_left_as_well() {
    let (compiled, question) = at(vec![located("vpn", &["branch"], &[])], "203.0.113.9");
    assert_eq!(find(&compiled, &question), [vec![Remedy::LeaveNetwork]]);
}

#[test]
fn where_few_countries_are_open_another_country_is_named_and_no_network_promised() {
    let (compiled, question) = at(vec![located("home", &["all"], &["home-countries"])], "192.0.2.1");
    let found = find_with(&compiled, &question, true, true);
    assert_eq!(found.alternatives.len(), 1);
    assert_eq!(found.alternatives[0].changes, [Remedy::OtherCountry]);
    assert_eq!(found.alternatives[0].tried.country, CountryCode::new("DE"));
    // Without a source of countries no address has one: nobody can change that.
    let mut nowhere = question.clone();
    nowhere.context.country = Fact::Unknown;
    let found = find_with(&compiled, &nowhere, false, true);
    assert_eq!((found.finding, found.alternatives.len()), (Finding::OnlyAdministrator, 0));
    assert_eq!(found.unavoidable, [portcullis_policy::decision::PolicyIndex(0)]);
}

#[test]
fn an_office_inside_a_blocked_country_is_no_way_out() {
    // The branch is open, and half of it lies in the blocked country; the office is the other half.
    let policies = || {
        vec![located("outside", &["all"], &["branch"]), located("sanctions", &["far-countries"], &["office"])]
    };
    let (compiled, question) = at(policies(), "192.0.2.1");
    let found = find_with(&compiled, &question, true, true);
    assert_eq!(found.alternatives.len(), 1);
    assert_eq!(found.alternatives[0].changes, [Remedy::ApprovedNetwork]);
    // Tried was the half that lies at home.
    assert_eq!(found.alternatives[0].tried.country, CountryCode::new("DE"));
    // All of the only open network lies in the blocked country.
    let policies = vec![
        located("outside", &["all"], &["branch"]),
        located("sanctions", &["far-countries"], &[]),
        located("home", &["home-countries"], &[]),
    ];
    let (compiled, question) = at(policies, "192.0.2.1");
    let found = find_with(&compiled, &question, true, true);
    assert_eq!((found.finding, found.alternatives), (Finding::OnlyAdministrator, vec![]));
}

#[test]
fn nothing_is_offered_that_a_user_agent_claims_and_nobody_is_sent_to_an_administrator_for_it() {
    let policy = block("legacy", |conditions| {
        conditions.client_apps = Some(ClientAppSet::EMPTY.with(ClientAppType::Other));
    });
    let (compiled, mut question) = at(vec![policy], "192.0.2.1");
    question.context.client_app = Fact::Known(ClientAppType::Other);
    let found = find_with(&compiled, &question, true, true);
    assert_eq!((found.finding, found.is_exhaustive), (Finding::NotFound, true));
    assert!(found.alternatives.is_empty());
}

#[test]
fn another_sign_in_is_offered_where_its_issuer_tells_of_it_alone() {
    let mut mfa = block("mfa", |_| {});
    mfa.grant = Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] };
    let (compiled, question) = at(vec![mfa], "192.0.2.1");
    let stronger = Remedy::StrongerSignIn { method: remedy::StrongerMethod::Mfa };
    assert_eq!(find(&compiled, &question), [vec![stronger]]);
    let found = find_with(&compiled, &question, true, false);
    assert_eq!((found.finding, found.alternatives), (Finding::SignInNotTold, vec![]));
}

#[test]
fn a_newer_version_is_suggested_when_the_version_refuses_and_the_device_tells_its_own() {
    let on = |version: Option<&'static str>| {
        let policy = block("old", |conditions| {
            let rule = Rule::parse(r#"device.operatingSystemVersion -lt "10.0.22631""#).unwrap();
            conditions.device = Some(DeviceFilter { mode: FilterMode::Include, rule });
        });
        let (compiled, mut question) = at(vec![policy], "192.0.2.1");
        question.context.device =
            Fact::Known(Device { operating_system_version: version, ..Device::default() });
        find_with(&compiled, &question, true, true)
    };
    let found = on(Some("10.0.19045"));
    assert_eq!(found.alternatives[0].changes, [Remedy::NewerOs]);
    assert_eq!(found.alternatives[0].tried.os_version.as_deref(), Some("10.0.22631"));
    assert_eq!(on(Some("11")).finding, Finding::LetIn);
    assert_eq!(on(None).finding, Finding::LetIn, "no version to lie below");
}

#[test]
fn a_rule_of_too_many_terms_is_not_searched_and_nothing_is_claimed_of_it() {
    let any = |name: &str| {
        let each: Vec<String> = (0..5).map(|one| format!(r#"device.{name} -eq "{one}""#)).collect();
        format!("({})", each.join(" -or "))
    };
    let text = format!("{} -and {} -and {}", any("model"), any("manufacturer"), any("displayName"));
    let policy = block("many", |conditions| {
        conditions.device =
            Some(DeviceFilter { mode: FilterMode::Include, rule: Rule::parse(&text).unwrap() });
    });
    let (compiled, mut question) = at(vec![policy], "192.0.2.1");
    question.context.device = Fact::Known(Device {
        model: Some("1"),
        manufacturer: Some("2"),
        display_name: Some("3"),
        ..Device::default()
    });
    let found = find_with(&compiled, &question, true, true);
    assert_eq!((found.finding, found.is_exhaustive), (Finding::NotFound, false));
}

#[test]
fn steps_that_are_used_up_are_no_proof() {
    let (compiled, question) =
        at(vec![located("all", &["all"], &[]), located("vpn", &["branch"], &[])], "203.0.113.9");
    let candidates = Candidates::new(&compiled, None);
    let scope = compiled.bind(&question.principal);
    let search = |steps_max| {
        let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max };
        remedy::find(&compiled, &scope, &question.signals(), &[], &installation)
    };
    // What never falls is seen without a step.
    assert_eq!(search(0).finding, Finding::OnlyAdministrator);
    let (compiled, question) = at(vec![located("vpn", &["branch"], &[])], "203.0.113.9");
    let candidates = Candidates::new(&compiled, Some(&country_of));
    let scope = compiled.bind(&question.principal);
    let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max: 0 };
    let found = remedy::find(&compiled, &scope, &question.signals(), &[], &installation);
    assert_eq!((found.finding, found.is_exhaustive), (Finding::NotFound, false));
}

#[test]
fn what_helps_one_reading_of_a_path_and_not_the_other_is_not_offered() {
    let abroad = |id: &str, paths: &str, include: &[&str], exclude: &[&str]| {
        let mut policy = located(id, include, exclude);
        let paths = vec![PathPattern::Subtree(paths.into())];
        std::sync::Arc::make_mut(&mut policy.conditions).request =
            Some(RequestCondition { paths, ..RequestCondition::default() });
        policy
    };
    let policies =
        vec![abroad("one", "/admin", &["all"], &["office"]), abroad("other", "/public", &["all"], &["lab"])];
    let (compiled, question) = at(policies, "192.0.2.1");
    let candidates = Candidates::new(&compiled, Some(&country_of));
    let installation =
        Installation { candidates: &candidates, tells_sign_in: true, steps_max: remedy::STEPS_MAX };
    let scope = compiled.bind(&question.principal);
    let search = |paths: &[&'static str]| {
        let reading = |path: &&'static str| portcullis_policy::Reading { path, context: None };
        let readings: Vec<_> = paths.iter().map(reading).collect();
        remedy::find(&compiled, &scope, &question.signals(), &readings, &installation).finding
    };
    assert_eq!(search(&["/admin"]), Finding::Found);
    assert_eq!(search(&["/public"]), Finding::Found);
    assert_eq!(search(&["/admin", "/public"]), Finding::OnlyAdministrator);
}

#[test]
fn the_first_moment_of_the_next_window_is_suggested_across_a_change_of_the_clock() {
    // Blocked at all times but Monday to Friday 08:00 to 18:00 in Berlin.
    let week = |day: u16, hour: u16| day * 1_440 + hour * 60;
    let windows: Vec<_> = (0..5)
        .map(|day| WeekWindow {
            start_minute: week(day, 18),
            end_minute: if day == 4 { week(0, 8) } else { week(day + 1, 8) },
        })
        .collect();
    // Sunday 2026-03-29 01:00 UTC: summer time begins.
    let berlin = TimeZone {
        name: "Europe/Berlin".into(),
        first_offset_secs: 3_600,
        transitions: vec![Transition { at: 1_774_746_000, offset_secs: 7_200 }],
    };
    let policy = block("closed", |conditions| {
        conditions.time = Some(TimeCondition { zone: berlin, windows, from: None, until: None });
    });
    let (compiled, mut question) = at(vec![policy], "192.0.2.1");
    let mut at_time = |now: i64| {
        question.now = now;
        find(&compiled, &question)
    };
    // Friday 2026-03-27 20:00 in winter time, for Monday 2026-03-30 08:00 in summer time, 06:00 UTC.
    assert_eq!(at_time(1_774_638_000), [vec![Remedy::LaterTime { at: 1_774_850_400 }]]);
    // Monday 2026-01-19 19:00, for Tuesday 08:00.
    assert_eq!(at_time(1_768_845_600), [vec![Remedy::LaterTime { at: 1_768_892_400 }]]);
    let far = |days: i64| {
        let policy = block("closed", |conditions| {
            conditions.time = Some(TimeCondition {
                zone: TimeZone { name: "UTC".into(), first_offset_secs: 0, transitions: vec![] },
                windows: vec![],
                from: None,
                until: Some(crate::world::NOW + days * 86_400),
            });
        });
        let (compiled, mut question) = at(vec![policy], "192.0.2.1");
        question.now = crate::world::NOW;
        find(&compiled, &question)
    };
    assert!(far(31).is_empty(), "more than thirty days ahead");
    assert_eq!(far(30), [vec![Remedy::LaterTime { at: crate::world::NOW + 30 * 86_400 }]]);
}

/// Between two boundaries no condition changes its answer, and each boundary is looked for to the second.
#[test]
fn boundaries_of_time_are_exact() {
    for seed in 0..100 {
        let bytes = bytes(seed);
        let time = crate::world::time(&mut Choices::new(&bytes));
        let (after, until) = (crate::world::NOW, crate::world::NOW + 9 * 86_400);
        let boundaries = time.boundaries(after, until);
        assert!(boundaries.windows(2).all(|two| two[0] < two[1]));
        let policy = block("time", |conditions| conditions.time = Some(time.clone()));
        let (compiled, mut question) = at(vec![policy], "192.0.2.1");
        let mut holds = |now: i64| {
            question.now = now;
            evaluate(compiled.set(), &question.signals()).conclusion.refused().is_some()
        };
        let mut last = holds(after);
        for now in (after..=until)
            .step_by(1_800)
            .chain(boundaries.iter().flat_map(|at| [at - 1, *at]))
            .collect::<std::collections::BTreeSet<_>>()
        {
            let is = holds(now);
            if is != last {
                assert!(
                    boundaries.iter().any(|at| *at <= now && *at > now - 1_800),
                    "seed {seed}: {now} of {boundaries:?} {time:?}"
                );
            }
            last = is;
        }
    }
}
