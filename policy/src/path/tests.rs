//! Paths read and compared, as tables and laws.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::model::{PathPattern, RequestCondition};

fn normal(path: &str) -> String {
    read(path.as_bytes()).unwrap_or_else(|_| panic!("{path}")).written().to_string()
}

fn forms(path: &str) -> Vec<&'static str> {
    read(path.as_bytes()).unwrap_or_else(|_| panic!("{path}")).forms().iter().map(PathForm::as_str).collect()
}

#[test]
fn spellings_of_one_path_have_one_normal_form() {
    for (spelled, one) in [
        ("/", "/"),
        ("/u/%40me", "/u/@me"),
        ("/%c3%a9%7e%20%7B", "/é~%20%7B"),
        ("/a%2a%3A%2c", "/a*:,"),
        ("/a|b^c", "/a%7Cb%5Ec"),
        ("/a%7cb%5ec", "/a%7Cb%5Ec"),
        ("/wiki/C%23", "/wiki/C%23"),
        ("/wiki/100%25", "/wiki/100%25"),
        ("/what%3f", "/what%3F"),
        ("/a%3bb", "/a;b"),
        ("/files/a%2erb", "/files/a.rb"),
    ] {
        assert_eq!(normal(spelled), one, "{spelled}");
    }
    for (written, one) in [("/übung/**", "/übung/**"), ("/%C3%BCbung", "/übung"), ("/a b", "/a%20b")] {
        assert_eq!(read_text(written).unwrap().written(), one, "{written}");
    }
}

#[test]
fn what_nobody_needs_is_no_path() {
    for path in [
        "",
        "a",
        "*",
        "http://x/",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/...",
        "/%20",
        "/a/.%20",
        "/%2e%2e/b",
        "/.%2e/b",
        "/%2E",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%2",
        "/a%zz",
        "/a#b",
        "/a b",
        "/a\u{7f}",
        "/é",
        "/%61dmin",
        "/a%2Db",
        "/a%c0%afb",
        "/a%ff",
        "/a%C2%85",
        "/a?b",
        "/{x}",
        "/a\"b",
        "/a%2F..%2Fb",
        "/a/..;x/b",
        "/a%2F.",
        "/.;/a",
    ] {
        assert_eq!(read(path.as_bytes()), Err(Unreadable), "{path}");
    }
}

#[test]
fn each_form_that_some_servers_misread_is_marked() {
    for (path, marked) in [
        ("/api/projects/group%2Fproject", &["encoded-slash"][..]),
        ("/repo/file;prop=val", &["path-parameters"]),
        ("/repo/file%3Bprop=val", &["path-parameters"]),
        ("/a//b", &["double-slash"]),
        ("//", &["double-slash"]),
        ("/a%252eb", &["double-encoding"]),
        ("/a%25u0041", &["double-encoding"]),
        ("/secret./x", &["trailing-dot"]),
        ("/secret.", &["trailing-dot"]),
        ("/secret%2e/x", &["trailing-dot"]),
        ("/secret%20/x", &["trailing-dot"]),
        ("/secret.;a=b", &["path-parameters", "trailing-dot"]),
        ("/secret.%2Fx", &["encoded-slash", "trailing-dot"]),
        ("/secret::$DATA/x", &["stream-names"]),
        ("/secret:$i30:$INDEX_ALLOCATION/x", &["stream-names"]),
        ("/secret%3A:x", &["stream-names"]),
        ("/SECRET~1/x", &["short-names"]),
        ("/SECRET%7E1/x", &["short-names"]),
        ("/(S(abc))/x", &["session-segments"]),
        ("/a/(f(abc))x", &["session-segments"]),
        ("/admin%E2%80%8B", &["invisible-characters"]),
        ("/ad%C2%ADmin", &["invisible-characters"]),
        ("/%E2%80%AEadmin", &["invisible-characters"]),
        ("/%EF%BC%8Fadmin", &["look-alikes"]),
        ("/admin%C2%A0", &["look-alikes"]),
        ("/a%EF%BC%8E%EF%BC%8Eb", &["look-alikes"]),
        ("/%EF%BC%BCadmin", &["look-alikes"]),
        ("/u%CC%88bung", &["decomposed"]),
        // Korean as macOS writes it: `관` and `각` in their parts.
        ("/%E1%84%80%E1%85%AA%E1%86%AB", &["decomposed"]),
        ("/%EA%B0%80%E1%86%A8", &["decomposed"]),
        // What a code page of Windows makes `SECRET~1`, `:$I30` and `(S(` of.
        ("/SECRET~%EF%BC%91/x", &["short-names"]),
        ("/SECRET%EF%BD%9E1/x", &["short-names", "look-alikes"]),
        ("/secret:%EF%BC%84I30/x", &["stream-names"]),
        ("/%EF%BC%88S%EF%BC%88abc))/x", &["session-segments"]),
    ] {
        assert_eq!(forms(path), marked, "{path}");
        // No application is spared from reading the rest of the path.
        assert_eq!(read(format!("{path}/..").as_bytes()), Err(Unreadable), "{path}/..");
    }
    for path in [
        "/",
        "/a/",
        "/a.b",
        "/.well-known/x",
        "/~user/x",
        "/a:b:c",
        "/(x)",
        "/a(b)",
        "/%F0%9F%98%80",
        "/50%25",
        "/100%25%20done",
        "/%C3%BC",
        "/a..b",
        "/..a",
        "/@scope/name",
        "/a*b",
        "/%EA%B4%80%EB%A6%AC",
    ] {
        assert_eq!(forms(path), Vec::<&str>::new(), "{path}");
    }
}

#[test]
fn a_form_that_is_read_in_several_ways_has_each_of_them_once() {
    for (path, readings) in [
        ("/a/b", &[][..]),
        ("/p/g%2Fp", &["/p/g/p"]),
        ("/q/%2F/name", &["/q///name", "/q/name"]),
        ("/a;x=1/b;y", &["/a/b"]),
        ("/;x/admin", &["//admin", "/admin"]),
        ("/a//b", &["/a/b"]),
        ("///a", &["/a"]),
        ("/a;x%2Fb", &["/a;x/b", "/a", "/a/b"]),
        ("/a%2Fb;x", &["/a/b;x", "/a%2Fb", "/a/b"]),
        ("/secret./x", &[]),
    ] {
        assert_eq!(read(path.as_bytes()).unwrap().others(), readings, "{path}");
    }
}

#[test]
fn a_path_is_below_a_prefix_by_whole_segments_and_without_case() {
    use Compare::{Exact, Folded};
    for (path, prefix, folded, exact) in [
        ("/admin", "/admin", true, true),
        ("/admin/", "/admin", true, true),
        ("/admin/x", "/admin/", true, true),
        ("/ADMIN/x", "/admin", true, false),
        ("/administrator", "/admin", false, false),
        ("/", "/admin", false, false),
        ("/", "/", true, true),
        ("/x", "", true, true),
        ("/ÜBUNG/1", "/übung", true, false),
        ("/\u{212a}iosk", "/kiosk", true, false),
        ("/adm\u{131}n", "/admin", true, false),
        ("/ADM\u{130}N", "/admin", true, false),
        ("/\u{ff41}DMIN", "/admin", true, false),
        ("/a%2Fb/x", "/A%2Fb", true, false),
        ("/STRASSE/x", "/straße", true, false),
        ("/stra\u{1e9e}e", "/strasse", true, false),
        ("/\u{fb01}les/x", "/files", true, false),
        ("/sta\u{fb00}", "/staff", true, false),
        ("/o\u{fb03}ce/x", "/OFFICE", true, false),
        ("/J\u{30c}", "/\u{1f0}", true, false),
        ("/as\u{df}", "/as", false, false),
        ("/a\u{df}", "/as", false, false),
    ] {
        assert_eq!(is_below(path, prefix, Folded), folded, "{path} {prefix}");
        assert_eq!(is_below(path, prefix, Exact), exact, "{path} {prefix}");
    }
}

/// What differs in case only is one page, though the other case be several characters; and what is shortened so is
/// found again where it is looked up.
#[test]
fn both_cases_of_every_character_are_one_page() {
    for char in '\0'..=char::MAX {
        let spellings = [char.to_string(), char.to_uppercase().collect(), char.to_lowercase().collect()];
        let [written, capital, small] = spellings.map(|spelling| format!("/a{spelling}b"));
        // `İ` in small letters is `i` and a dot, and `i` alone where we look; another dot is another name.
        for other in [capital, small].iter().filter(|_| char != '\u{130}') {
            assert_eq!(folded(&written), folded(other), "{char:?}");
            assert!(is_below(&written, other, Compare::Folded), "{char:?}");
            assert!(is_below(other, &written, Compare::Folded), "{char:?}");
        }
    }
}

#[test]
fn a_pattern_covers_its_path_with_and_without_a_slash_at_the_end() {
    let exact = PathPattern::Exact("/admin".into());
    let below = PathPattern::Subtree("/admin".into());
    for (path, alone, all) in [
        ("/admin", true, true),
        ("/admin/", true, true),
        ("/Admin/", true, true),
        ("/admin/x", false, true),
        ("/admin//", false, true),
        ("/admins", false, false),
        ("/", false, false),
    ] {
        assert_eq!(exact.matches(path, Compare::Folded), alone, "{path}");
        assert_eq!(below.matches(path, Compare::Folded), all, "{path}");
    }
    assert!(PathPattern::Exact("/".into()).matches("/", Compare::Exact));
    assert!(!PathPattern::Exact("/".into()).matches("/x", Compare::Exact));
    assert!(PathPattern::Subtree(String::new()).matches("/x", Compare::Exact));
}

#[test]
fn an_exclusion_ignores_case_only_where_the_app_is_known_to() {
    let condition = RequestCondition {
        methods: vec![],
        paths: vec![PathPattern::Subtree("/admin".into())],
        exclude_paths: vec![PathPattern::Exact("/admin/help".into())],
    };
    for (path, unknown, sensitive, insensitive) in [
        ("/admin/help", false, false, false),
        ("/admin/help/", false, false, false),
        ("/admin/HELP", true, true, false),
        ("/ADMIN/help", true, false, false),
        ("/ADMIN/x", true, false, true),
        // What spares must be one page to every server without case, and so it is not as wide.
        ("/adm\u{131}n/help", true, false, true),
        ("/admin/\u{ff48}elp", true, true, true),
    ] {
        assert_eq!(condition.covers(path, PathCase::Unknown), unknown, "{path}");
        assert_eq!(condition.covers(path, PathCase::Sensitive), sensitive, "{path}");
        assert_eq!(condition.covers(path, PathCase::Insensitive), insensitive, "{path}");
    }
}

/// The segments of a path, as somebody compares them who has all the time of the world.
fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(folded).collect()
}

/// Every character that Unicode composes or has twice, alone and with an accent after it: whatever spelling a
/// request has and whatever a rule was written in, some reading of the request matches the rule.
#[test]
fn canonically_equivalent_spellings_are_one_page() {
    use unicode_normalization::UnicodeNormalization as _;
    let mut seen = 0;
    let equivalent = |char: &char| !char.is_ascii() && !core::iter::once(*char).nfd().eq([*char]);
    // Korean syllables decompose by a rule: some of them stand for all.
    let is_chosen = |char: &char| !('가'..='힣').contains(char) || u32::from(*char) % 61 == 0;
    for char in ('\0'..=char::MAX).filter(equivalent).filter(is_chosen) {
        for after in ["", "x", "\u{301}"] {
            let written = format!("/wiki/a{char}{after}/b");
            let composed: String = written.nfc().collect();
            let spellings = [written.nfd().collect(), composed.clone(), written];
            for (rule, request) in
                spellings.iter().flat_map(|one| spellings.iter().map(move |two| (one, two)))
            {
                let bytes = request.bytes();
                let sent: String = bytes
                    .map(|byte| match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'/' => char::from(byte).to_string(),
                        _ => format!("%{byte:02X}"),
                    })
                    .collect();
                let (rule, request) = (read_text(rule).unwrap(), read(sent.as_bytes()).unwrap());
                let pattern = PathPattern::Exact(rule.written().into());
                let mut readings = request.others().iter().map(String::as_str).chain([request.written()]);
                assert!(readings.any(|path| pattern.matches(path, Compare::Exact)), "{rule:?} {request:?}");
                let is_composed = request.written() == read_text(&composed).unwrap().written();
                assert_eq!(!request.forms().contains(PathForm::Decomposed), is_composed, "{request:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 3 * 2_000, "{seen}");
}

proptest! {
    #[test]
    fn what_needs_no_second_look_would_stand_it(path in "/?([a-z./~1:%;\\\\@A_ é(]|%2[0ef]){0,12}") {
        let read_twice = read_any(path.as_bytes());
        prop_assert_eq!(read(path.as_bytes()), read_twice.clone());
        if path.is_ascii() && !path.contains([' ']) {
            prop_assert_eq!(read_text(&path).map(|path| path.written().to_string()), read_twice.map(|path| path.written().to_string()));
        }
    }

    #[test]
    fn no_path_that_is_read_holds_a_form_that_hides_another(path in prop_oneof![
        any::<Vec<u8>>(),
        "/[a-z./%0-9;?\\\\#]{0,24}".prop_map(String::into_bytes),
        "/(a|%2F|;|[.]|//|%20){0,12}".prop_map(String::into_bytes),
    ]) {
        if let Ok(path) = read(&path) {
            for reading in core::iter::once(path.written()).chain(path.others().iter().map(String::as_str)) {
                prop_assert!(reading.starts_with('/'));
                for segment in reading.split('/').skip(1) {
                    prop_assert!(segment != "." && segment != "..", "{reading}");
                }
                for hidden in ["\\", "?", "#", "\0", "%2E", "%5C"] {
                    prop_assert!(!reading.contains(hidden), "{reading} holds {hidden}");
                }
            }
            // What is not marked has one reading.
            prop_assert!(!path.forms().is_empty() || path.others().is_empty());
            prop_assert!(path.forms().contains(PathForm::EncodedSlash) == path.written().contains("%2F"));
        }
    }

    #[test]
    fn the_normal_form_of_a_normal_form_is_itself(path in "/([a-zA-Zü;@ ./]|%2[35f]|%3[bf]|%7[bce]|%c3%bc){0,12}") {
        if let Ok(once) = read_text(&path) {
            // Not so of an escaped percent sign alone: it is escaped still.
            let twice = read_text(once.written()).unwrap();
            prop_assert_eq!(twice.written(), once.written());
            prop_assert_eq!(twice.forms(), once.forms());
        }
    }

    #[test]
    fn prefixes_compare_as_lists_of_segments(path in "(/[aAsSüÜßﬆt]{1,2}){0,4}", prefix in "(/[aAsSüÜßﬆt]{1,2}){0,2}") {
        let (path, prefix) = (format!("{path}/"), if prefix.is_empty() { "/".to_string() } else { prefix });
        let below = segments(&path).starts_with(&segments(&prefix));
        prop_assert_eq!(is_below(&path, &prefix, Compare::Folded), below);
        prop_assert_eq!(PathPattern::Subtree(prefix.clone()).matches(&path, Compare::Folded), below);
        let same = segments(&path) == segments(&prefix);
        prop_assert_eq!(PathPattern::Exact(prefix).matches(&path, Compare::Folded), same);
    }
}

fn read_any(path: &[u8]) -> Result<ReadPath<'_>, Unreadable> {
    read::again(path)
}
