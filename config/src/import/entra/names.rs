//! Names: what Entra calls things becomes what may stand in a file, unique and always the same.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_policy::model::PolicyId;

use super::json::Fnv;

/// Room for a count behind a marked name: `-5000`.
const COUNT_BYTES: usize = 5;

/// Whether a text is an object id: `8-4-4-4-12` hexadecimal digits.
pub(super) fn is_guid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let fits = |length: usize, part: Option<&str>| {
        part.is_some_and(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    groups.into_iter().all(|length| fits(length, parts.next())) && parts.next().is_none()
}

/// Whether a text could stand for an id in a file: something visible, on one line, not too long.
pub(super) fn is_presentable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.trim() == text && !text.chars().any(is_hidden)
}

/// Characters that forge lines, drive terminals or turn the reading direction around.
pub(super) fn is_hidden(c: char) -> bool {
    !crate::printable::is_printable(c)
}

/// A display name as an id: lower-case letters, digits and single hyphens; `fallback` when nothing
/// is left.
pub(super) fn slug(text: &str, fallback: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if slug.len() >= PolicyId::LEN_MAX {
            break;
        }
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'ä' | 'á' | 'à' | 'â' | 'å' | 'ã' => slug.push('a'),
            'ö' | 'ó' | 'ò' | 'ô' | 'ø' | 'õ' => slug.push('o'),
            'ü' | 'ú' | 'ù' | 'û' => slug.push('u'),
            'é' | 'è' | 'ê' | 'ë' => slug.push('e'),
            'í' | 'ì' | 'î' | 'ï' => slug.push('i'),
            'ç' => slug.push('c'),
            'ñ' => slug.push('n'),
            'ß' => slug.push('s'),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { fallback.to_owned() } else { slug.to_owned() }
}

/// A slug that no other text has by accident: the beginning of its slug, and a fingerprint.
pub(super) fn marked_slug(text: &str, fallback: &str) -> String {
    let mut hash = Fnv::new();
    hash.feed(text.as_bytes());
    with_mark(&slug(text, fallback), hash.0)
}

/// A slug with a fingerprint at its end.
pub(super) fn with_mark(slug: &str, hash: u64) -> String {
    let mark = format!("-{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff));
    format!("{}{mark}", cut(slug, PolicyId::LEN_MAX - mark.len() - COUNT_BYTES))
}

/// The beginning of a slug, which is ASCII.
fn cut(slug: &str, length: usize) -> &str {
    slug.get(..length.min(slug.len())).unwrap_or_default().trim_end_matches('-')
}

/// Something that wants a name of its own.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The name that it would like.
    pub(super) slug: String,
    /// What separates it from others that would like the same.
    pub(super) identity: u64,
}

/// Gives each its own name, in the order of `wanted`. A name that only one wants is its slug; the
/// others get a mark made of their identity, so that the order of files does not matter. Those that
/// are the same in all are counted, and must come in a stable order.
pub(super) fn distinct(wanted: &[Wanted]) -> Vec<String> {
    let mut rivals: BTreeMap<&str, usize> = BTreeMap::new();
    for one in wanted {
        *rivals.entry(&one.slug).or_default() += 1;
    }
    let alone = |one: &Wanted| rivals.get(one.slug.as_str()) == Some(&1);
    let mut taken: BTreeSet<String> =
        wanted.iter().filter(|one| alone(one)).map(|one| one.slug.clone()).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let name = |one: &Wanted| {
        if alone(one) {
            return one.slug.clone();
        }
        let marked = with_mark(&one.slug, one.identity);
        let mut name = marked.clone();
        let count = counts.entry(marked.clone()).or_insert(2);
        while !taken.insert(name.clone()) {
            let end = format!("-{count}");
            name = format!("{}{end}", cut(&marked, PolicyId::LEN_MAX - end.len()));
            *count += 1;
        }
        name
    };
    wanted.iter().map(name).collect()
}

/// Apps of Microsoft that policies often name.
pub(super) fn app_name(id: &str) -> Option<&'static str> {
    Some(match id {
        "00000002-0000-0ff1-ce00-000000000000" => "Office 365 Exchange Online",
        "00000003-0000-0ff1-ce00-000000000000" => "Office 365 SharePoint Online",
        "00000003-0000-0000-c000-000000000000" => "Microsoft Graph",
        "797f4846-ba00-4fd7-ba43-dac1f8f63013" => "Windows Azure Service Management API",
        "c44b4083-3bb0-49c1-b47d-974e53cbdf3c" => "Azure Portal",
        "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe" => "Microsoft Teams Services",
        _ => return None,
    })
}

/// The apps that stand for what Global Secure Access carries: Microsoft's apps, the internet, private
/// resources (Microsoft, "Global Secure Access", list of application ids).
pub(super) fn is_traffic_profile(id: &str) -> bool {
    matches!(
        id,
        "c08f52c9-8f03-4558-a0ea-9a4c878cf343"
            | "5dc48733-b5df-475c-a49b-fa307ef00853"
            | "e92b9b37-1b47-4c01-9fbc-91d84450870e"
    )
}

/// Apps of the suite that Entra calls `Office365`.
pub(super) fn is_of_office365(id: &str) -> bool {
    matches!(
        id,
        "00000002-0000-0ff1-ce00-000000000000"
            | "00000003-0000-0ff1-ce00-000000000000"
            | "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(items: &[(&str, u64)]) -> Vec<Wanted> {
        items
            .iter()
            .map(|(slug, identity)| Wanted { slug: (*slug).to_owned(), identity: *identity })
            .collect()
    }

    #[test]
    fn names_are_ids_and_do_not_depend_on_the_order() {
        for text in ["CA001: Block *all*", "  ", "ÄÖÜ – straße", &"x y".repeat(100), "🪙", "-a-", "\u{130}"]
        {
            let slug = slug(text, "policy");
            assert!(PolicyId::new(slug.as_str()).is_ok(), "{text}: {slug}");
            assert!(PolicyId::new(marked_slug(text, "policy")).is_ok(), "{text}");
        }
        let names = distinct(&wanted(&[("a", 1), ("a", 2), ("b", 3), ("a", 2)]));
        assert_eq!(names, ["a-00000001", "a-00000002", "b", "a-00000002-2"]);
        assert_eq!(distinct(&wanted(&[("a", 2), ("b", 3), ("a", 1)])), ["a-00000002", "b", "a-00000001"]);
        // A rival's marked name may be what another is called.
        let names = distinct(&wanted(&[("a", 1), ("a", 2), ("a-00000001", 9)]));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3, "{names:?}");
        let long = "x".repeat(64);
        for name in distinct(&wanted(&[(&long, 1), (&long, 1), (&long, 2)])) {
            assert!(PolicyId::new(name).is_ok());
        }
    }

    #[test]
    fn an_object_id_is_told_from_a_placeholder() {
        assert!(is_guid("62e90394-69f5-4237-9190-012177145E10"));
        for text in [
            "<AdminGroup>",
            "",
            "62e90394-69f5-4237-9190-012177145e1",
            "62e90394-69f5-4237-9190-012177145e10-",
        ] {
            assert!(!is_guid(text), "{text}");
        }
    }
}
