//! What the claims of a good token mean: groups, guests, devices, risks, contexts.

use portcullis_config::settings::{ListSeparator, claim_path};
use portcullis_policy::model::{Flow, GuestKind, RiskLevel};
use portcullis_policy::signals::{DeviceAttribute, Fact, Identity, Value as Attribute};
use serde_json::{Value, json};

use super::fixtures::{ISSUER, issuer, now, read, token, unused_source, verifier_with};
use super::verify::TokenProblem;
use crate::refusal::BadToken;

#[test]
fn groups_that_are_not_all_there_are_unavailable_and_never_none() {
    let groups = |change: fn(&mut Value)| read(change).principal().standing.groups.clone();
    assert_eq!(groups(|c| drop(c.as_object_mut().unwrap().remove("groups"))), Fact::Unknown);
    assert_eq!(groups(|c| c["groups"] = json!([])), Fact::Known(vec![]));
    assert_eq!(groups(|c| c["groups"] = json!("g")), Fact::Known(vec!["g".into()]));
    assert_eq!(groups(|c| c["groups"] = json!([7])), Fact::Known(vec!["7".into()]));
    for odd in [json!(null), json!({"a": 1}), json!(true), json!(["g", null]), json!([["g"]]), json!([1.5])] {
        assert_eq!(read(|c| c["groups"] = odd).principal().standing.groups, Fact::Unavailable);
    }
    assert_eq!(groups(|c| c["_claim_names"] = json!({"groups": "src1"})), Fact::Unavailable);
    assert_eq!(groups(|c| c["_claim_names"] = json!("groups")), Fact::Unavailable);
    assert_eq!(groups(|c| c["hasgroups"] = json!(true)), Fact::Unavailable);
    assert_eq!(groups(|c| c["hasgroups"] = json!("true")), Fact::Unavailable);
    for several in [
        "staff contractors",
        "staff,contractors",
        "staff;contractors",
        "staff|contractors",
        "staff\tcontractors",
        "staff\u{3001}contractors",
        r#"["staff"]"#,
        "[staff]",
        "{staff}",
        r#""staff""#,
        "CN=Staff,OU=Groups",
    ] {
        let standing = read(|c| {
            c["groups"] = json!(several);
            c["wids"] = json!(several);
        });
        let standing = &standing.principal().standing;
        assert_eq!(
            (&standing.groups, &standing.roles),
            (&Fact::Unavailable, &Fact::Unavailable),
            "{several}"
        );
    }
    for one in ["/staff/it", "urn:mace:staff", "b\u{fc}ro-7", "Staff_(DE)"] {
        assert_eq!(groups_of(one, None), Fact::Known(vec![one.into()]));
    }
    let roles = read(|c| c["hasgroups"] = json!(true)).principal().standing.roles.clone();
    assert_eq!(roles, Fact::Unknown);
}

/// The groups of a token whose claim is this text.
fn groups_of(text: &str, separator: Option<ListSeparator>) -> Fact<Vec<String>> {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.list_separator = separator;
    let verified = verifier_with(&settings).0.verify(&token(|c| c["groups"] = json!(text)), &[0], now());
    verified.unwrap().principal().standing.groups.clone()
}

#[test]
fn groups_in_one_text_are_split_where_the_separator_is_configured() {
    let known = |groups: &[&str]| Fact::Known(groups.iter().map(|group| (*group).to_owned()).collect());
    let of = groups_of;
    assert_eq!(
        of("staff, Domain Users,,x", Some(ListSeparator::Comma)),
        known(&["staff", "Domain Users", "x"])
    );
    assert_eq!(of("CN=a,OU=b;CN=c", Some(ListSeparator::Semicolon)), known(&["CN=a,OU=b", "CN=c"]));
    assert_eq!(of("staff  contractors", Some(ListSeparator::Space)), known(&["staff", "contractors"]));
    assert_eq!(of("staff", Some(ListSeparator::Comma)), known(&["staff"]));
    assert_eq!(of("", Some(ListSeparator::Comma)), known(&[]));
    assert_eq!(of("", None), known(&[]));
    for odd in [r#"["staff","contractors"]"#, "staff,[contractors]", "staff,{x}", "staff,\"x\"", "a\u{1},b"] {
        assert_eq!(of(odd, Some(ListSeparator::Comma)), Fact::Unavailable, "{odd}");
    }
}

#[test]
fn a_claim_path_names_each_key_as_it_is() {
    let path = |names: &[&str]| claim_path(names);
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.roles = path(&["resource_access", "my.app", "roles"]);
    settings.claims.device_id = path(&["device.id"]);
    settings.claims.extra = vec![path(&["a", "b.c", "email"]), "plain".into()];
    let (verifier, _) = verifier_with(&settings);
    let verified = |change: &dyn Fn(&mut Value)| verifier.verify(&token(|c| change(c)), &[0], now());
    let found = verified(&|c| {
        c["resource_access"] = json!({"my.app": {"roles": ["admin"]}, "my": {"app": {"roles": ["other"]}}});
        c["device.id"] = json!("d-1");
        c["a"] = json!({"b.c": {"email": "x@corp.example"}});
    });
    let found = found.unwrap();
    assert_eq!(found.principal().standing.roles, Fact::Known(vec!["admin".into()]));
    assert_eq!(found.device().and_then(|device| device.device_id), Some("d-1"));
    let claims = &found.principal().standing.claims;
    assert_eq!(*claims, vec![("a.b.c.email".into(), Attribute::Text("x@corp.example".into()))]);
    // Dots separate nothing here, and only an object has keys.
    let other = verified(&|c| c["resource_access"] = json!({"my": {"app": {"roles": ["other"]}}})).unwrap();
    assert_eq!(other.principal().standing.roles, Fact::Unknown);
    let other = verified(&|c| c["resource_access"] = json!("my.app")).unwrap();
    assert_eq!(other.principal().standing.roles, Fact::Unknown);
    let elsewhere = verified(&|c| c["_claim_names"] = json!({"resource_access": "src1"})).unwrap();
    assert_eq!(elsewhere.principal().standing.roles, Fact::Unavailable);
    let two = verified(&|c| c["a"] = json!({"b.c": {"email": "a@evil@corp.example"}}));
    assert_eq!(two.err(), Some(TokenProblem::Bad(BadToken::Claims)), "an address is one by its last key");
}

#[test]
fn programs_and_guests_are_distinguished_from_members() {
    let somebody = |change: fn(&mut Value)| {
        let principal = read(change).principal().clone();
        (principal.id.into_string(), principal.standing.identity.clone())
    };
    let app = somebody(|c| {
        c["idtyp"] = json!("app");
        c["oid"] = json!("sp-1");
    });
    assert_eq!(app, ("sp-1".into(), Identity::Workload));
    let client = somebody(|c| {
        c["azp"] = json!("anna");
        drop(c.as_object_mut().unwrap().remove("preferred_username"));
    });
    assert_eq!(client, ("anna".into(), Identity::Workload));
    assert!(matches!(somebody(|c| c["azp"] = json!("anna")).1, Identity::User { .. }));
    let guest = somebody(|c| {
        c["acct"] = json!(1);
        c["tid"] = json!("here");
        c["idp"] = json!("https://sts.windows.net/there/");
    });
    let (kind, home_tenant) = (Some(GuestKind::B2bCollaborationGuest), Some("there".into()));
    assert_eq!(guest, ("anna".into(), Identity::User { guest: kind, home_tenant }));
}

#[test]
fn devices_risks_and_further_claims_are_read_by_their_configured_names() {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.device_id = "dev.id".into();
    settings.claims.sign_in_risk = Some("https://x.example/risk".into());
    settings.claims.user_risk = Some("user.risk".into());
    settings.claims.service_principal_risk = Some("sp".into());
    settings.claims.flow = Some("transferMethod".into());
    settings.claims.guest_kind = Some("kind".into());
    settings.claims.device_attributes = vec![
        (DeviceAttribute::Model, "model".into()),
        (DeviceAttribute::PhysicalIds, "ids".into()),
        (DeviceAttribute::Extension(15), "model".into()),
        (DeviceAttribute::Extension(15), "last".into()),
    ];
    settings.claims.extra = vec!["tier".into(), "b".into(), "list".into(), "absent".into()];
    let (verifier, _) = verifier_with(&settings);
    let verified = verifier
        .verify(
            &token(|c| {
                c["dev"] = json!({"id": "d-1"});
                c["device_compliant"] = json!("True");
                c["https://x.example/risk"] = json!("HIGH");
                c["user"] = json!({"risk": "hidden"});
                c["sp"] = json!("low");
                c["transferMethod"] = json!("deviceCodeFlow");
                c["kind"] = json!("b2bDirectConnectUser");
                c["model"] = json!("Surface");
                c["ids"] = json!(["[ZTDID]:x"]);
                c["last"] = json!("fifteen");
                c["tier"] = json!(3);
                c["b"] = json!(true);
                c["list"] = json!(["x", 1]);
                c["auth_time"] = json!(now() + 4000);
            }),
            &[0],
            now(),
        )
        .unwrap();
    let device = verified.device().unwrap();
    assert_eq!((device.device_id, device.compliant), (Some("d-1"), Some(true)));
    assert_eq!(verified.risks().sign_in, Fact::Known(RiskLevel::High));
    assert_eq!(verified.risks().user, Fact::Unavailable);
    assert_eq!(verified.risks().service_principal, Fact::Known(RiskLevel::Low));
    assert_eq!(verified.risks().insider, Fact::Unknown);
    assert_eq!(device.model, Some("Surface"));
    assert_eq!(device.extension_attributes, [(15, "fifteen".to_owned())]);
    assert_eq!((device.physical_ids, device.display_name), (&["[ZTDID]:x".to_owned()][..], None));
    assert_eq!(verified.principal().standing.sign_in.flow, Some(Flow::DeviceCode));
    let Identity::User { guest, .. } = &verified.principal().standing.identity else { panic!("no user") };
    assert_eq!(*guest, Some(GuestKind::B2bDirectConnectUser));
    assert_eq!(verified.principal().auth_time, None);
    assert_eq!(
        verified.principal().standing.claims,
        vec![
            ("b".into(), Attribute::Bool(true)),
            ("list".into(), Attribute::List(vec!["x".into(), "1".into()])),
            ("tier".into(), Attribute::Number(3.0)),
        ]
    );
    // What cannot be read is never taken for absent: a flow or a kind of guest could be the blocked one.
    for (claim, value) in [("tier", json!({"a": 1})), ("transferMethod", json!("new")), ("kind", json!(7))] {
        let odd = verifier.verify(&token(|c| c[claim] = value.clone()), &[0], now());
        assert_eq!(odd.err(), Some(TokenProblem::Bad(BadToken::Claims)), "{claim}");
    }
}

#[test]
fn contexts_are_read_from_an_array_or_a_text_and_what_is_none_proves_nothing() {
    let held = |acrs: Value| {
        let verified = read(|c| c["acrs"] = acrs);
        let contexts = &verified.principal().standing.sign_in.contexts;
        contexts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    for (claim, expected) in [
        (json!(["c1", "c25"]), "c1 c25"),
        (json!("c1"), "c1"),
        (json!("C2 c1"), "c1 c2"),
        (json!(["C1", "c1", "p1", "urn:user:registersecurityinfo"]), "c1"),
        (json!(["c100", "c0", "c01", "1", "", 7, null]), ""),
        (json!({"c1": true}), ""),
        (Value::Null, ""),
    ] {
        assert_eq!(held(claim.clone()), expected, "{claim}");
    }
}

#[test]
fn what_a_token_states_of_its_sign_in_becomes_evidence_of_its_issuer() {
    use portcullis_policy::signals::IssuerEvidence;
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.evidence = IssuerEvidence {
        contexts_satisfy: true,
        asserts_methods: false,
        asserts_acr: false,
        ..IssuerEvidence::ANY
    };
    let (verifier, _) = verifier_with(&settings);
    let of = |change: fn(&mut Value)| {
        let verified = verifier.verify(&token(change), &[0], now()).unwrap();
        verified.principal().standing.sign_in.issuer
    };
    assert_eq!(of(|_| {}), settings.evidence);
    assert_eq!(
        of(|c| c["amr"] = json!(["pwd"])),
        IssuerEvidence { asserts_methods: true, ..settings.evidence }
    );
    assert_eq!(of(|c| c["acr"] = json!("1")), IssuerEvidence { asserts_acr: true, ..settings.evidence });
}

#[test]
fn a_client_says_in_its_token_that_it_follows_claims_challenges() {
    for (claim, expected) in [
        (json!(["cp1"]), true),
        (json!(["foo", "CP1"]), true),
        (json!("cp1"), true),
        (json!("cp1 foo"), true),
        (json!(["cp2"]), false),
        (json!("cp10"), false),
        (json!(true), false),
        (Value::Null, false),
    ] {
        assert_eq!(read(|c| c["xms_cc"] = claim.clone()).follows_claims_challenges(), expected, "{claim}");
    }
}
