//! The four engines on the same policies and requests. Before any clock runs, every engine has answered
//! every request, and all four named the same policies.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use portcullis_bench_peers::cedar::Cedar;
use portcullis_bench_peers::cel::Cel;
use portcullis_bench_peers::ours::Ours;
use portcullis_bench_peers::question::{Question, questions};
use portcullis_bench_peers::rego::Rego;
use portcullis_bench_peers::task::Task;

const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// How many groups each person is in.
const GROUPS: usize = 20;
const REQUESTS: usize = 64;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for size in SIZES {
        let task = Task::new(size);
        let questions = questions(&task.set, size, GROUPS, REQUESTS);
        let (ours, cedar, rego, cel) =
            (Ours::new(&task), Cedar::new(&task), Rego::new(&task), Cel::new(&task));
        agree(&task, &questions, (&ours, &cedar, &rego, &cel));

        let mut group = criterion.benchmark_group("peers");
        let scopes: Vec<_> = questions.iter().map(|one| (one, ours.prepare(one))).collect();
        let mut next = scopes.iter().cycle();
        group.bench_function(BenchmarkId::new("portcullis", size), |bench| {
            bench.iter(|| next.next().map(|(question, scope)| ours.decide(question, scope)));
        });
        let prepared: Vec<_> = questions.iter().map(|one| cedar.prepare(one)).collect();
        let mut next = prepared.iter().cycle();
        group.bench_function(BenchmarkId::new("cedar", size), |bench| {
            bench.iter(|| next.next().map(|prepared| cedar.decide(black_box(prepared))));
        });
        let prepared: Vec<_> = questions.iter().map(|one| rego.prepare(one)).collect();
        let mut next = prepared.iter().cycle();
        group.bench_function(BenchmarkId::new("rego", size), |bench| {
            bench.iter(|| next.next().map(|prepared| rego.decide(black_box(prepared))));
        });
        let prepared: Vec<_> = questions.iter().map(|one| cel.prepare(one)).collect();
        let mut next = prepared.iter().cycle();
        group.bench_function(BenchmarkId::new("cel", size), |bench| {
            bench.iter(|| next.next().map(|prepared| cel.decide(black_box(prepared))));
        });
        group.finish();
    }
    criterion.final_summary();
}

/// All four name the same policies for every request, and some requests are refused, some let in.
fn agree(task: &Task, questions: &[Question], (ours, cedar, rego, cel): (&Ours, &Cedar, &Rego, &Cel)) {
    let (mut refused, mut let_in) = (0, 0);
    for (number, question) in questions.iter().enumerate() {
        let found = ours.answer(question);
        for (peer, answer) in [
            ("Cedar", cedar.answer(question)),
            ("Rego", rego.answer(question)),
            ("CEL", cel.answer(question)),
        ] {
            assert_eq!(answer, found, "{peer} differs on request {number} of {} policies", task.policies);
        }
        assert_eq!(ours.lets_in(question), found.is_empty(), "request {number}");
        if found.is_empty() { let_in += 1 } else { refused += 1 }
    }
    assert!(refused > 0 && let_in > 0, "{refused} refused, {let_in} let in");
    eprintln!("{} policies: all four agree on {refused} refused and {let_in} let in", task.policies);
}
