//! What is suggested to a user is what trying everything finds: every smallest set of changes, and nothing else. Tried is
//! each value that the search knows of, by the reference evaluator, in thousands of generated configurations.

mod brute;
mod scenes;

use portcullis_policy::model::*;
use portcullis_policy::reference::{Tri, evaluate};
use portcullis_policy::remedy::{self, Candidates, Finding, Installation, Remedies, Remedy};
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
    println!("{seen:?}");
    if cases() >= 10_000 {
        let enough = seen.found > seen.worlds / 5
            && seen.only_administrator > seen.worlds / 50
            && seen.not_found > 0
            && seen.not_told > 0
            && seen.sets.iter().skip(1).all(|sets| *sets > seen.worlds / 50)
            && seen.kinds.len() >= 16;
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
