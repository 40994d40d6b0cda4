//! What the policies have in common, and what sets them apart.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use pingora::{Error, ErrorType};
use portcullis_config::settings::{self, HashKey};
use proptest::prelude::*;

use super::*;
use crate::failure::NetworkFailure;
use crate::seal::Seals;
use crate::session::CookieForm;
use crate::upstream::health::{Health, Subject};
use crate::upstream::outstanding::InFlight;

const HASH: Balance = Balance::ConsistentHash(HashKey::Principal);
const STICKY: Balance = Balance::Sticky { life: None };

fn endpoint(server: &str, last: u8) -> Arc<Endpoint> {
    let address = Address::from(SocketAddr::from(([127, 0, 0, last], 80)));
    let peer = address.peer(None).unwrap();
    let settings = settings::Health {
        check: None,
        failures: 3,
        eject_for: Duration::from_secs(5),
        eject_max: Duration::from_secs(300),
        panic_percent: 0,
    };
    let (app, name): (Arc<str>, Arc<str>) = ("wiki".into(), server.into());
    let subject = Subject { app, server: name, address: address.to_string(), reached_by: 0, settings };
    let health = Arc::new(Health::new(subject, peer.clone(), Arc::default()));
    Arc::new(Endpoint::new(server.into(), address, peer, health))
}

/// Servers of these weights, each with one address.
fn pool(weights: &[u16]) -> Pool {
    let member = |(at, weight): (usize, &u16)| (endpoint(&format!("app-{at}:80"), at as u8), *weight);
    Pool::new("wiki", weights.iter().enumerate().map(member))
}

fn fail(pool: &Pool, at: usize) {
    let problem = Error::explain(ErrorType::ConnectRefused, "nobody there");
    pool.get(at).unwrap().failed(NetworkFailure::Refused, true, &problem);
}

fn address(pool: &Pool, at: usize) -> Address {
    pool.get(at).unwrap().address.clone()
}

fn chosen(pool: &Pool, balance: &Balance, count: usize) -> Vec<usize> {
    (0..count).filter_map(|_| pool.choose(balance, Affinity::None, (&[], 0))).collect()
}

#[test]
fn all_addresses_are_asked_in_turn_and_one_that_failed_is_not_asked_again() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests, HASH, STICKY] {
        let pool = pool(&[1, 1, 1]);
        assert_eq!(chosen(&pool, &balance, 6), [0, 1, 2, 0, 1, 2], "{balance:?}");
        for key in 0..30_u8 {
            let affinity = Affinity::Key(Key::of(&[&[key]]));
            let mut tried = Vec::new();
            for _ in 0..3 {
                assert!(pool.has_another(&tried));
                let at = pool.choose(&balance, affinity, (&tried, 0)).unwrap();
                assert!(!tried.contains(&address(&pool, at)), "{balance:?}");
                tried.push(address(&pool, at));
            }
            assert!(!pool.has_another(&tried));
            assert!(pool.choose(&balance, affinity, (&tried, 0)).is_some(), "then the next one");
        }
        assert_eq!(Pool::default().choose(&balance, Affinity::None, (&[], 0)), None);
    }
}

#[test]
fn what_is_left_out_is_asked_only_when_nothing_else_is_left() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests, HASH, STICKY] {
        let pool = pool(&[1, 1, 1]);
        fail(&pool, 0);
        fail(&pool, 2);
        assert_eq!(chosen(&pool, &balance, 6), [1; 6], "{balance:?}");
        let other = pool.choose(&balance, Affinity::None, (&[address(&pool, 1)], 0));
        assert!(other.is_some_and(|at| at != 1), "it may have come back");
        fail(&pool, 1);
        let mut all = chosen(&pool, &balance, 3);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2], "that all are out stops nothing: {balance:?}");
    }
}

#[test]
fn with_fewer_up_than_the_panic_percentage_all_get_requests() {
    let pool = pool(&[1, 1, 1]);
    let chosen = |percent: u8| {
        let choose = |_| pool.choose(&Balance::RoundRobin, Affinity::None, (&[], percent));
        let mut chosen: Vec<_> = (0..6).filter_map(choose).collect();
        chosen.sort_unstable();
        chosen
    };
    fail(&pool, 0);
    assert!(!chosen(50).contains(&0), "two of three are enough");
    fail(&pool, 1);
    assert_eq!(chosen(33), [2; 6]);
    assert_eq!(chosen(50), [0, 0, 1, 1, 2, 2]);
}

#[test]
fn a_server_of_weight_0_takes_only_what_a_cookie_names() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests, HASH, STICKY] {
        let pool = pool(&[1, 0, 1]);
        assert!(!chosen(&pool, &balance, 20).contains(&1), "{balance:?}");
        for key in 0..100_u8 {
            assert_ne!(
                pool.choose(&balance, Affinity::Key(Key::of(&[&[key]])), (&[], 0)),
                Some(1),
                "{balance:?}"
            );
        }
        let both = [address(&pool, 0), address(&pool, 2)];
        assert!(!pool.has_another(&both));
        assert_ne!(pool.choose(&balance, Affinity::None, (&both, 0)), Some(1), "{balance:?}");
        let named = Affinity::Server { address: pool.members[1].address, made: 0 };
        assert_eq!(pool.choose(&STICKY, named, (&[], 0)), Some(1));
    }
}

#[test]
fn the_fewest_requests_for_the_weight_win_until_they_end() {
    let pool = pool(&[1, 2, 1]);
    let mut under_way = Vec::new();
    for _ in 0..8 {
        let at = pool.choose(&Balance::LeastRequests, Affinity::None, (&[], 0)).unwrap();
        under_way.push((at, pool.get(at).unwrap().outstanding().begin()));
    }
    let count = |pool: &Pool, at: usize| pool.get(at).unwrap().outstanding().count();
    assert_eq!([count(&pool, 0), count(&pool, 1), count(&pool, 2)], [2, 4, 2]);
    under_way.retain(|(at, _)| *at != 2);
    assert_eq!(chosen(&pool, &Balance::LeastRequests, 3), [2, 2, 2], "it has nothing to do");
}

#[test]
fn a_slow_server_gets_no_more_while_the_others_have_fewer() {
    let pool = pool(&[1, 1, 1]);
    let _slow: Vec<_> = (0..5).map(|_| pool.get(1).unwrap().outstanding().begin()).collect();
    assert!(!chosen(&pool, &Balance::LeastRequests, 20).contains(&1));
}

#[test]
fn a_key_falls_to_the_same_server_in_another_order_and_beside_another_address() {
    let names = [("a:80", 1), ("b:80", 2), ("b:80", 3), ("c:80", 4)];
    let make = |names: &[(&str, u8)]| {
        Pool::new("wiki", names.iter().map(|(server, last)| (endpoint(server, *last), 1)))
    };
    let (pool, reversed) = (make(&names), make(&names.iter().rev().copied().collect::<Vec<_>>()));
    let fewer = make(&[("a:80", 1), ("b:80", 2), ("c:80", 4)]);
    let mut moved = 0;
    for key in 0..1_000_u16 {
        let affinity = Affinity::Key(Key::of(&[&key.to_le_bytes()]));
        let at = |pool: &Pool| address(pool, pool.choose(&HASH, affinity, (&[], 0)).unwrap());
        assert_eq!(at(&pool), at(&reversed));
        moved += usize::from(at(&pool) != at(&fewer));
        if at(&pool) != Address::from(SocketAddr::from(([127, 0, 0, 3], 80))) {
            let of = |pool: &Pool| {
                pool.members.iter().find(|one| one.endpoint.address == at(pool)).unwrap().server
            };
            // An address more or less changes the weight of its server, and nothing between the others.
            assert!(at(&pool) == at(&fewer) || of(&fewer) != of(&pool));
        }
    }
    assert!((150..400).contains(&moved), "{moved} of 1000 keys moved for one address of four");
}

proptest! {
    #[test]
    fn only_the_keys_of_a_server_that_is_left_out_fall_to_others(weights in prop::collection::vec(1_u16..9, 3..7)) {
        let pool = pool(&weights);
        let at = |key: u16| pool.choose(&HASH, Affinity::Key(Key::of(&[&key.to_le_bytes()])), (&[], 0)).unwrap();
        let before: Vec<usize> = (0..300).map(at).collect();
        fail(&pool, 1);
        for (key, before) in before.into_iter().enumerate() {
            let after = at(key as u16);
            prop_assert_ne!(after, 1);
            prop_assert!(before == 1 || after == before);
        }
    }

    #[test]
    fn least_requests_never_lets_one_fall_behind_by_more_than_one_for_its_weight(
        weights in prop::collection::vec(1_u16..5, 2..6),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let pool = pool(&weights);
        let mut under_way = Vec::new();
        let take = |under_way: &mut Vec<(usize, InFlight)>| {
            let at = pool.choose(&Balance::LeastRequests, Affinity::None, (&[], 0)).unwrap();
            let load = |at: usize| f64::from(pool.get(at).unwrap().outstanding().count()) / f64::from(weights[at]);
            let least = (0..weights.len()).map(load).fold(f64::INFINITY, f64::min);
            assert!(load(at) <= least + 1e-9, "{at} has {} while another has {least}", load(at));
            under_way.push((at, pool.get(at).unwrap().outstanding().begin()));
        };
        for end in ends {
            take(&mut under_way);
            take(&mut under_way);
            let ended = end.index(under_way.len());
            drop(under_way.swap_remove(ended));
        }
        drop(under_way);
        prop_assert!(pool.endpoints().all(|one| one.outstanding().count() == 0));
    }
}

fn app(lines: &str) -> settings::App {
    let text = format!(
        "[server]\nlisteners = [{{ address = \"127.0.0.1:8080\" }}]\n\n[[issuer]]\nname = \"idp\"\nissuer = \"https://idp.test\"\naudiences = [\"api\"]\nkeys = {{ url = \"https://idp.test/jwks\" }}\n\n[session]\nkeys = [\"session.key\"]\n\n[[app]]\nid = \"wiki\"\nhosts = [\"wiki.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\n{lines}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).unwrap();
    std::fs::write(folder.path().join("session.key"), key).unwrap();
    std::fs::write(folder.path().join("main.toml"), text).unwrap();
    let loaded = portcullis_config::load::load(&folder.path().join("main.toml"));
    let told = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
    loaded.config.expect(&told).apps.remove(0)
}

/// The pair of name and value of a `Set-Cookie`.
fn pair(set: &HeaderValue) -> HeaderValue {
    HeaderValue::from_str(set.to_str().unwrap().split(';').next().unwrap()).unwrap()
}

fn asked_with(sticky: &Sticky, balance: &Balance, cookie: &HeaderValue, seals: &Seals, now: i64) -> Affinity {
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, cookie.clone());
    let form = Some(CookieForm::Secure);
    let asking = Asking { headers: &headers, caller: None, client: None, form, seals, now };
    Affinity::of(balance, Some(sticky), asking)
}

#[test]
fn a_sticky_cookie_names_its_server_to_us_alone_and_is_renewed_when_it_is_half_over() {
    let app = app("balance = { policy = \"sticky\", cookie-life = \"1h\" }");
    let (sticky, seals) = (Sticky::of(&app).unwrap(), Seals::new([&[7; 32]]));
    let pool = pool(&[1, 1]);
    let made_for = |at: usize, affinity, now| {
        sticky.renewed(pool.get(at).unwrap(), affinity, (CookieForm::Secure, &seals, now))
    };
    let set = made_for(1, Affinity::None, 1_000).unwrap();
    let text = set.to_str().unwrap();
    assert!(text.starts_with("__Host-Http-portcullis-server-"), "{text}");
    assert!(text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"), "{text}");
    assert_ne!(set, made_for(1, Affinity::None, 1_000).unwrap(), "no two are alike");
    assert_eq!(set.len(), made_for(0, Affinity::None, 1_000).unwrap().len());

    let affinity = asked_with(&sticky, &app.balance, &pair(&set), &seals, 2_000);
    assert_eq!(affinity, Affinity::Server { address: pool.members[1].address, made: 1_000 });
    assert_eq!(pool.choose(&app.balance, affinity, (&[], 0)), Some(1));
    assert_eq!(made_for(1, affinity, 2_000), None, "it has it");
    assert!(made_for(1, affinity, 2_801).is_some(), "half of its time is over");
    assert!(made_for(0, affinity, 2_000).is_some(), "another server answered");
    assert_eq!(asked_with(&sticky, &app.balance, &pair(&set), &seals, 4_601), Affinity::None, "it is over");
}

#[test]
fn an_altered_foreign_or_odd_sticky_cookie_is_as_none() {
    let app = app("balance = { policy = \"sticky\" }");
    let (sticky, seals) = (Sticky::of(&app).unwrap(), Seals::new([&[7; 32]]));
    let pool = pool(&[1, 1]);
    let set = |seals: &Seals| {
        let made = sticky.renewed(pool.get(1).unwrap(), Affinity::None, (CookieForm::Secure, seals, 1_000));
        pair(&made.unwrap())
    };
    let read = |cookie: &HeaderValue| asked_with(&sticky, &app.balance, cookie, &seals, 1_000);
    let good = set(&seals);
    assert_ne!(read(&good), Affinity::None);
    assert_eq!(read(&set(&Seals::new([&[8; 32]]))), Affinity::None, "of another installation");
    let (name, value) = good.to_str().unwrap().split_once('=').unwrap();
    for at in 0..value.len() {
        let mut altered = value.to_owned().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = format!("{name}={}", String::from_utf8(altered).unwrap());
        assert_eq!(read(&HeaderValue::from_str(&altered).unwrap()), Affinity::None, "{altered}");
    }
    for odd in ["", "1", "wiki", &"A".repeat(5_000)] {
        assert_eq!(read(&HeaderValue::from_str(&format!("{name}={odd}")).unwrap()), Affinity::None, "{odd}");
    }
    let session = seals.seal(crate::seal::Purpose::SessionId, &[0; 16]).unwrap();
    assert_eq!(read(&HeaderValue::from_str(&format!("{name}={session}")).unwrap()), Affinity::None);
    // What names a server of another app names none here.
    let other = Pool::new("mail", [(endpoint("app-1:80", 1), 1)]);
    assert_ne!(other.members[0].address, pool.members[1].address);
}

#[test]
fn a_sticky_server_that_is_out_or_failed_is_left_for_another() {
    let pool = pool(&[1, 1]);
    let named = Affinity::Server { address: pool.members[1].address, made: 0 };
    assert_eq!(pool.choose(&STICKY, named, (&[address(&pool, 1)], 0)), Some(0));
    fail(&pool, 1);
    assert_eq!(pool.choose(&STICKY, named, (&[], 0)), Some(0));
    let gone = Affinity::Server { address: Key::of(&[b"gone"]), made: 0 };
    assert_eq!(pool.choose(&STICKY, gone, (&[], 0)), Some(0));
}

#[test]
fn a_request_falls_to_a_server_by_what_the_app_says() {
    let (seals, nothing) = (Seals::new([]), HeaderMap::new());
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_static("room=blue; other=1"));
    headers.insert("x-room", HeaderValue::from_static("blue"));
    let client = Some("192.0.2.7".parse().unwrap());
    let asking = Asking { headers: &headers, caller: None, client, form: None, seals: &seals, now: 0 };
    let of = |by: HashKey, asking| Affinity::of(&Balance::ConsistentHash(by), None, asking);
    let by = [HashKey::Cookie("room".into()), HashKey::Header("x-room".into()), HashKey::Address];
    for by in by {
        assert!(matches!(of(by.clone(), asking), Affinity::Key(_)), "{by:?}");
        let without = Asking { headers: &nothing, client: None, ..asking };
        assert_eq!(of(by, without), Affinity::None);
    }
    assert_eq!(of(HashKey::Principal, asking), Affinity::None, "nobody is known");
    assert_eq!(of(HashKey::Cookie("Room".into()), asking), Affinity::None, "names of cookies have case");
    assert_eq!(Affinity::of(&Balance::RoundRobin, None, asking), Affinity::None);
}
