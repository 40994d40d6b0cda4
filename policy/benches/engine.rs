//! How long compiling, binding, deciding and analyzing take, and how that grows with the policies.
//!
//! `decide_observed` (what a proxy asks for each request, the policies that apply counted as they are reported) and
//! `decide` (the same, with a sorted list of them) time requests that are let in, the path that most
//! requests take, and, apart, all requests as they come; `worst` is an organisation in which every policy
//! is about every app.

#![expect(clippy::print_stderr, reason = "a bench says what it measures")]

mod world;

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode};
use portcullis_policy::analyze::IssueKind;
use portcullis_policy::decision::{Generation, PolicyIndex, PolicyResult};
use portcullis_policy::model::CountryCode;
use portcullis_policy::remedy::{self, Candidates, Finding, Installation};
use portcullis_policy::signals::Fact;
use portcullis_policy::{CompiledPolicies, Observer, Outcome, SatisfiedRow, Scope};
use world::{Request, Shape};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const GROUPS: [usize; 2] = [10, 200];

fn compiled(shape: Shape) -> CompiledPolicies {
    CompiledPolicies::compile(world::set(shape), Generation(1))
        .unwrap_or_else(|problems| unreachable!("a generated set is sound: {problems:?}"))
}

/// Requests with their bound scopes.
fn bound(policies: &CompiledPolicies, shape: Shape, groups: usize, let_in: bool) -> Vec<(Request, Scope)> {
    let all = world::requests(shape, groups, 512).into_iter().map(|request| {
        let scope = policies.bind(&request.principal);
        (request, scope)
    });
    let meant = all.filter(|(request, scope)| {
        !let_in || matches!(policies.decide(scope, &request.signals()).outcome, Outcome::Grant(_))
    });
    meant.take(64).collect()
}

/// The least that an observer does.
#[derive(Default)]
struct Counted {
    satisfied: u64,
    others: u32,
}

impl Observer for Counted {
    fn satisfied(&mut self, row: SatisfiedRow) {
        self.satisfied ^= row.bits;
    }

    fn applied(&mut self, _policy: PolicyIndex, _result: PolicyResult) {
        self.others += 1;
    }
}

fn decide(criterion: &mut Criterion) {
    for (name, every_app, let_in) in [("", false, true), ("-mixed", false, false), ("-worst", true, false)] {
        let mut group = criterion.benchmark_group(format!("decide{name}"));
        for (size, groups) in SIZES.into_iter().flat_map(|size| GROUPS.map(|groups| (size, groups))) {
            let shape = Shape { every_app, ..Shape::realistic(size) };
            let policies = compiled(shape);
            let requests = bound(&policies, shape, groups, let_in);
            let applied: usize = requests
                .iter()
                .map(|(request, scope)| policies.decide(scope, &request.signals()).applied.len())
                .sum();
            let each = applied as f64 / requests.len().max(1) as f64;
            eprintln!(
                "decide{name}/{size}/{groups}: {} requests, {each:.1} policies apply to each",
                requests.len()
            );
            let mut next = requests.iter().cycle();
            group.bench_function(
                BenchmarkId::new(format!("observed/{size}"), format!("{groups} groups")),
                |bench| {
                    bench.iter(|| {
                        let Some((request, scope)) = next.next() else { return };
                        let mut counted = Counted::default();
                        black_box(policies.decide_observed(
                            black_box(scope),
                            black_box(&request.signals()),
                            &mut counted,
                        ));
                        black_box(counted);
                    });
                },
            );
            let mut next = requests.iter().cycle();
            group.bench_function(BenchmarkId::new(size.to_string(), format!("{groups} groups")), |bench| {
                bench.iter(|| {
                    let Some((request, scope)) = next.next() else { return };
                    black_box(policies.decide(black_box(scope), black_box(&request.signals())));
                });
            });
        }
        group.finish();
    }
}

fn bind(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bind");
    for (size, groups) in SIZES.into_iter().flat_map(|size| GROUPS.map(|groups| (size, groups))) {
        let shape = Shape::realistic(size);
        let policies = compiled(shape);
        let requests = world::requests(shape, groups, 64);
        let mut next = requests.iter().cycle();
        group.bench_function(BenchmarkId::new(size.to_string(), format!("{groups} groups")), |bench| {
            bench.iter(|| {
                let Some(request) = next.next() else { return };
                black_box(policies.bind(black_box(&request.principal)));
            });
        });
    }
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for size in SIZES {
        let set = world::set(Shape::realistic(size));
        group.bench_function(size.to_string(), |bench| {
            bench.iter_batched(
                || set.clone(),
                |set| CompiledPolicies::compile(set, Generation(1)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The country that an address lies in, as a database would say.
fn country_of(address: IpAddr) -> Fact<CountryCode> {
    let number = match address {
        IpAddr::V4(address) => usize::from(address.octets()[1]),
        IpAddr::V6(address) => usize::from(address.segments()[2]),
    };
    let code = ["DE", "US", "CN"].get(number % 3).and_then(|code| CountryCode::new(code));
    code.map_or(Fact::Unknown, Fact::Known)
}

/// Searches for what would let refused requests in: the median, and what one in a hundred takes, of a thousand requests.
fn remedies(criterion: &mut Criterion) {
    for (name, every_app) in [("", false), ("-worst", true)] {
        let mut group = criterion.benchmark_group(format!("remedies{name}"));
        for size in SIZES {
            let shape = Shape { every_app, ..Shape::realistic(size) };
            let policies = compiled(shape);
            let candidates = Candidates::new(&policies, Some(&country_of));
            let steps_max = remedy::STEPS_MAX;
            let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max };
            let all = world::requests(shape, 10, 4_096).into_iter().map(|request| {
                let scope = policies.bind(&request.principal);
                (request, scope)
            });
            let refused = all.filter(|(request, scope)| {
                !matches!(policies.decide(scope, &request.signals()).outcome, Outcome::Grant(_))
            });
            let refused: Vec<(Request, Scope)> = refused.take(1_000).collect();
            let search = |(request, scope): &(Request, Scope)| {
                remedy::find(&policies, black_box(scope), &black_box(request.signals()), &[], &installation)
            };
            let (mut times, mut found, mut whole) = (Vec::new(), 0, 0);
            for asked in &refused {
                let result = search(asked);
                found += u32::from(result.finding == Finding::Found);
                whole += u32::from(result.is_exhaustive);
                // The best of three: what else runs on the machine is not what is measured.
                let timed = (0..3).map(|_| {
                    let started = Instant::now();
                    black_box(search(asked));
                    started.elapsed()
                });
                times.extend(timed.min());
            }
            times.sort_unstable();
            let at = |share: usize| times.get(times.len().saturating_sub(1) * share / 1_000).copied();
            eprintln!(
                "remedies{name}/{size}: {} refused, {found} with a remedy, {whole} searched to the end; median {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
                refused.len(),
                at(500).unwrap_or_default(),
                at(990).unwrap_or_default(),
                at(999).unwrap_or_default(),
                at(1_000).unwrap_or_default(),
            );
            let mut next = refused.iter().cycle();
            group.bench_function(size.to_string(), |bench| {
                bench.iter(|| next.next().map(search));
            });
        }
        group.finish();
    }
}

fn analyze(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analyze");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        let set = world::set(Shape::realistic(size));
        let issues = portcullis_policy::analyze::analyze(&set, world::NOW);
        let unfinished = issues.iter().filter(|issue| issue.kind == IssueKind::Unfinished);
        eprintln!("analyze/{size}: {} findings, {} unfinished", issues.len(), unfinished.count());
        group.bench_function(size.to_string(), |bench| {
            bench.iter(|| portcullis_policy::analyze::analyze(black_box(&set), world::NOW));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    decide(&mut criterion);
    bind(&mut criterion);
    compile(&mut criterion);
    analyze(&mut criterion);
    remedies(&mut criterion);
    criterion.final_summary();
}
