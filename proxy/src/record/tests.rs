//! The page of metrics, after requests of every kind.

use std::time::Duration;

use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::PolicyState;

use super::policy_counters::RESULTS;
use super::*;
use crate::refusal::{Refusal, Subcode};

fn serving(app: &AppMetrics, counts: [u64; RESULTS]) -> Serving<'_> {
    Serving {
        now: 10_000,
        generation: 1,
        waiting: 0,
        apps: vec![app],
        servers: vec![ServerReading {
            app: "wiki",
            server: "wiki.corp:443",
            metrics: Box::leak(Box::default()),
            is_up: false,
            addresses: 2,
            ejected: 1,
            failing: 1,
            outstanding: 4,
            is_checked: true,
            lookups: vec![("found", 3)],
        }],
        panics: vec![("wiki", true)],
        policies: vec![PolicyReading { id: "watch-mfa", state: PolicyState::ReportOnly, counts }],
        issuers: vec![IssuerReading {
            name: "entra",
            keys: 0,
            age_secs: None,
            usable: false,
            failures: 3,
            is_failing: true,
            interval_secs: 600,
            unused: vec![("weak", 1)],
            tells_sign_in: true,
        }],
        geo_built: Some(1_700_000_000),
        certificates: Vec::new(),
        cached: 0,
        sessions_remembered: 0,
        session_store: None,
        log_entries: [0; 4],
        access_entries: [0; 3],
        sign_ins: Vec::new(),
        listeners: &[],
    }
}

#[test]
fn a_refusal_for_want_of_a_fact_is_counted_as_such_and_every_failed_reason_is_unmet() {
    let app = AppMetrics::new(Some("wiki"));
    let reasons = ReasonSet::EMPTY.with(ReasonCode::MfaRequired).with(ReasonCode::DeviceNotCompliant);
    let refused = |temporary| {
        Refusal::Policy(
            Refused { primary: ReasonCode::DeviceNotCompliant, reasons, temporary },
            Subcode::None,
        )
    };
    for refusal in [refused(true), refused(false)] {
        let outcome = Outcome::of(&refusal);
        let took = Duration::from_millis(3);
        app.ended(Ended {
            outcome,
            refusal: Some(&refusal),
            stage: None,
            traffic: Traffic::default(),
            took,
            request_id: 9,
            unix_ms: 1_000,
            user: None,
        });
    }
    let text = Metrics::new().page(&serving(&app, [0; RESULTS]), Format::OpenMetrics);
    for line in [
        r#"portcullis_requests_total{app="wiki",outcome="unavailable"} 1"#,
        r#"portcullis_requests_total{app="wiki",outcome="denied"} 1"#,
        r#"portcullis_refusals_total{app="wiki",reason="fact-unavailable",code="90033"} 1 #"#,
        r#"portcullis_refusals_total{app="wiki",reason="device-not-compliant",code="53000"} 1 # {request_id="00000000-0000-0000-0000-000000000009"} 1 1.000"#,
        r#"portcullis_unmet_requirements_total{app="wiki",reason="mfa-required"} 2"#,
        r#"portcullis_unmet_requirements_total{app="wiki",reason="device-not-compliant"} 2"#,
        r#"portcullis_request_duration_seconds_bucket{app="wiki",le="0.005"} 2 # {request_id="#,
        r#"portcullis_upstream_server_up{app="wiki",server="wiki.corp:443"} 0"#,
        r#"portcullis_issuer_keys_age_seconds{issuer="entra"} NaN"#,
        r#"portcullis_issuer_keys_last_fetch_successful{issuer="entra"} 0"#,
        r#"portcullis_issuer_keys_refresh_interval_seconds{issuer="entra"} 600"#,
        r#"portcullis_issuer_keys_unused{issuer="entra",reason="weak"} 1"#,
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
    }
}

#[test]
fn a_challenge_is_met_by_coming_back_and_abandoned_by_staying_away() {
    let app = AppMetrics::new(Some("wiki"));
    let ended = |outcome, user: &str| {
        let took = Duration::from_millis(1);
        app.ended(Ended {
            outcome,
            refusal: None,
            stage: None,
            traffic: Traffic::default(),
            took,
            request_id: 9,
            unix_ms: 1_000_000,
            user: Some(UserHash::of(user)),
        });
    };
    ended(Outcome::Challenged, "alice");
    ended(Outcome::Challenged, "bob");
    ended(Outcome::Granted, "alice");
    ended(Outcome::Granted, "alice");
    let text = Metrics::new().page(&serving(&app, [0; RESULTS]), Format::Text);
    for (how, count) in [("met", 1), ("abandoned", 1), ("evicted", 0)] {
        let line = format!("portcullis_challenges_ended_total{{app=\"wiki\",how=\"{how}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_policy_has_series_for_the_results_that_its_state_can_give() {
    let app = AppMetrics::new(None);
    let text = Metrics::new().page(&serving(&app, [0, 1, 0]), Format::Text);
    let results: Vec<_> =
        text.lines().filter(|line| line.starts_with("portcullis_policy_results_total{")).collect();
    assert_eq!(results.len(), 3, "{results:?}");
    assert!(results.iter().all(|line| line.contains("reportOnly")), "{results:?}");
    assert!(
        text.contains(r#"portcullis_policy_results_total{policy="watch-mfa",result="reportOnlyFailure"} 1"#)
    );
}

#[test]
fn a_million_requests_of_every_kind_make_no_new_series() {
    let app = AppMetrics::new(Some("wiki"));
    let metrics = Metrics::new();
    let series = || {
        let text = metrics.page(&serving(&app, [0; RESULTS]), Format::Text);
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let (before, refusals) = (series(), Refusal::all());
    // A xorshift: the same million on every run.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..1_000_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let refusal = refusals.get(usize::try_from(random >> 40).unwrap() % (2 * refusals.len()));
        let outcome = refusal.map_or(Outcome::Granted, Outcome::of);
        let took = Duration::from_nanos(random >> 30);
        let user = random.to_string();
        app.ended(Ended {
            outcome,
            refusal,
            stage: None,
            traffic: Traffic::default(),
            took,
            request_id: random.into(),
            unix_ms: 0,
            user: Some(UserHash::of(&user)),
        });
        app.upstream_answered(u16::try_from(random & 0xFFFF).unwrap(), took);
        app.upstream_connected(random & 1 == 0);
        metrics.begun();
        metrics.decided(took);
        metrics.gone();
    }
    assert_eq!(series(), before);
    let text = metrics.page(&serving(&app, [0; RESULTS]), Format::Text);
    assert!(text.contains("portcullis_request_duration_seconds_count{app=\"wiki\"} 1000000\n"), "{text}");
    assert!(text.contains("portcullis_requests_in_flight 0\n"), "{text}");
}
