//! Which language a denial speaks: a link that was followed, then `Accept-Language`, then what app
//! and installation say, then English.

use std::sync::LazyLock;

use arrayvec::ArrayVec;
use portcullis_config::settings::LANGUAGES;

use super::cldr;
use super::texts::{Resolver, Texts};

/// One language, ready to be shown.
#[derive(Debug)]
pub(crate) struct Language {
    /// BCP 47 tag, for `lang` and `Content-Language`.
    pub(crate) tag: &'static str,
    /// `ltr` or `rtl`.
    pub(crate) dir: &'static str,
    /// What its speakers call it.
    pub(crate) name: &'static str,
    pub(crate) texts: Texts,
}

/// Tag, own name, file; English first: it is what is left when nothing fits.
const SOURCES: [(&str, &str, &str); 11] = [
    ("en", "English", include_str!("languages/en.ftl")),
    ("ar", "العربية", include_str!("languages/ar.ftl")),
    ("de", "Deutsch", include_str!("languages/de.ftl")),
    ("es", "Español", include_str!("languages/es.ftl")),
    ("fr", "Français", include_str!("languages/fr.ftl")),
    ("it", "Italiano", include_str!("languages/it.ftl")),
    ("ja", "日本語", include_str!("languages/ja.ftl")),
    ("ko", "한국어", include_str!("languages/ko.ftl")),
    ("nl", "Nederlands", include_str!("languages/nl.ftl")),
    ("pt-BR", "Português", include_str!("languages/pt-BR.ftl")),
    ("zh-Hans", "简体中文", include_str!("languages/zh-Hans.ftl")),
];

/// Every language, in the order of [`LANGUAGES`].
pub(crate) static ALL: LazyLock<Vec<Language>> =
    // INVARIANT: there is a locale for each of them.
    LazyLock::new(|| {
        let languages = SOURCES.iter().filter_map(|(tag, name, source)| language(tag, name, source));
        languages.map(|(language, _)| language).collect()
    });

/// The language, and what is wrong with its file.
fn language(tag: &'static str, name: &'static str, source: &str) -> Option<(Language, Vec<String>)> {
    let dir = if tag == "ar" { "rtl" } else { "ltr" };
    let mut resolver = Resolver::new(tag, source, dir == "rtl");
    let space = if matches!(tag, "ja" | "zh-Hans") { "" } else { " " };
    let texts = Texts::resolve(&mut resolver, space, cldr::locale(tag)?);
    Some((Language { tag, dir, name, texts }, resolver.problems))
}

/// The position of a tag in [`ALL`].
pub(crate) fn position(tag: &str) -> Option<usize> {
    LANGUAGES.iter().position(|known| known.eq_ignore_ascii_case(tag))
}

/// Longest `Accept-Language` that is read, in bytes, and the most ranges of it.
const ACCEPT_BYTES_MAX: usize = 512;
const RANGES_MAX: usize = 10;

/// The position of the language to speak.
///
/// `query` is the query of the request: `lang=TAG` in it is a link of our page that was followed.
/// `default` is what app or installation say.
pub(crate) fn choose(query: Option<&str>, accept: Option<&str>, default: usize) -> usize {
    let followed =
        query.and_then(|query| query.split('&').rev().find_map(|pair| position(pair.strip_prefix("lang=")?)));
    followed.or_else(|| accept.and_then(accepted)).unwrap_or(default)
}

/// The first language that is accepted (RFC 4647, section 3.4: lookup).
fn accepted(text: &str) -> Option<usize> {
    let text = text.get(..text.len().min(ACCEPT_BYTES_MAX)).unwrap_or_default();
    // Programs name one, and give it no weight.
    if !text.bytes().any(|byte| matches!(byte, b',' | b';')) {
        return range(text).and_then(|(_, only)| lookup(only));
    }
    let mut ranges: ArrayVec<(u16, &str), RANGES_MAX> =
        text.split(',').take(RANGES_MAX).filter_map(range).collect();
    // The sort is stable: among equals the order of writing counts.
    ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let refused =
        |found: usize| ranges.iter().any(|(weight, range)| *weight == 0 && lookup(range) == Some(found));
    ranges
        .iter()
        .filter(|(weight, _)| *weight > 0)
        .find_map(|(_, range)| lookup(range).filter(|found| !refused(*found)))
}

fn range(text: &str) -> Option<(u16, &str)> {
    let (range, rest) = text.split_once(';').unwrap_or((text, ""));
    let range = range.trim();
    let is_range =
        !range.is_empty() && range.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_range {
        // `*` says that any language will do, which is what the default is for.
        return None;
    }
    let weight = match rest.trim().split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
            super::negotiate::parse_weight(value.trim())?
        }
        Some(_) | None => 1000,
    };
    Some((weight, range))
}

/// Looks a range up, shortening it from its end until something fits.
fn lookup(range: &str) -> Option<usize> {
    let mut wanted = range;
    loop {
        // What speakers of a language without a script or region of ours read best of what there is.
        let nearest = match wanted {
            _ if wanted.eq_ignore_ascii_case("zh") => "zh-Hans",
            _ if wanted.eq_ignore_ascii_case("pt") => "pt-BR",
            other => other,
        };
        if let Some(found) = position(nearest) {
            return Some(found);
        }
        let (shorter, _) = wanted.rsplit_once('-')?;
        // A single letter introduces what follows it and goes along with it.
        wanted = match shorter.rsplit_once('-') {
            Some((before, single)) if single.len() == 1 => before,
            Some(_) | None => shorter,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use portcullis_config::settings::LANGUAGES;

    use super::super::texts::ids;
    use super::{ALL, SOURCES, choose, language};

    fn chosen(accept: &str) -> &'static str {
        ALL[choose(None, Some(accept), 0)].tag
    }

    #[test]
    fn languages_are_looked_up_as_in_rfc_4647() {
        for (accept, tag) in [
            ("de", "de"),
            ("de-CH-1996", "de"),
            ("DE-at", "de"),
            ("fr;q=0.5, de;q=0.9", "de"),
            ("fr, de", "fr"),
            ("pt", "pt-BR"),
            ("pt-PT", "pt-BR"),
            ("pt-br", "pt-BR"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-TW", "zh-Hans"),
            ("zh-Hant-HK", "zh-Hans"),
            ("ja-JP,en;q=0.8", "ja"),
            ("de-x-private", "de"),
            ("sv, da, fr;q=0.1", "fr"),
            ("sv", "en"),
            ("*", "en"),
            ("de;q=0, fr;q=0.1", "fr"),
            ("de;q=0, de-AT, fr;q=0.1", "fr"),
            ("de;q=nonsense, fr", "fr"),
            ("", "en"),
            (",,;q=1,-,", "en"),
            ("sv,sv,sv,sv,sv,sv,sv,sv,sv,sv,de", "en"),
        ] {
            assert_eq!(chosen(accept), tag, "{accept}");
        }
        assert_eq!(chosen(&("é".repeat(1000) + ",de")), "en");
    }

    #[test]
    fn a_link_that_was_followed_wins_and_a_default_comes_last() {
        let default = super::position("nl").unwrap();
        for (query, accept, tag) in [
            (Some("lang=ja"), Some("de"), "ja"),
            (Some("a=b&lang=JA"), Some("de"), "ja"),
            (Some("lang=ja&lang=fr"), None, "fr"),
            (Some("lang=xx"), Some("de"), "de"),
            (Some("slang=ja"), None, "nl"),
            (None, Some("sv"), "nl"),
            (None, None, "nl"),
        ] {
            assert_eq!(ALL[choose(query, accept, default)].tag, tag, "{query:?} {accept:?}");
        }
    }

    #[test]
    fn the_configuration_offers_the_languages_that_there_are() {
        let tags: Vec<_> = ALL.iter().map(|language| language.tag).collect();
        assert_eq!(tags, LANGUAGES);
        assert_eq!(ALL[0].tag, "en");
    }

    /// Ids of a file, with the names of the variables that each uses.
    fn written(source: &str) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut last = String::new();
        for line in source.lines() {
            if line.starts_with(|first: char| first.is_ascii_lowercase()) {
                last = line.split_once(" =").unwrap().0.to_owned();
                assert!(!found.contains_key(&last), "`{last}` is there twice");
                found.insert(last.clone(), Vec::new());
            }
            for variable in line.split('$').skip(1) {
                let variable = variable.split(|char: char| !char.is_ascii_lowercase()).next().unwrap();
                let variables = found.get_mut(&last).unwrap();
                if !variables.iter().any(|known| known == variable) {
                    variables.push(variable.to_owned());
                    variables.sort();
                }
            }
        }
        found
    }

    #[test]
    fn every_language_has_every_text_and_no_other_with_the_same_holes() {
        let english = written(SOURCES[0].2);
        let known = ids();
        for (tag, name, source) in SOURCES {
            let (_, problems) = language(tag, name, source).unwrap();
            assert!(problems.is_empty(), "{tag}: {problems:?}");
            let texts = written(source);
            for (id, _) in &known {
                let variables = texts.get(id).unwrap_or_else(|| panic!("{tag}: `{id}` is missing"));
                assert_eq!(variables, &english[id], "{tag}: {id}");
            }
            for id in texts.keys() {
                assert!(known.iter().any(|(known, _)| known == id), "{tag}: nothing uses `{id}`");
            }
        }
        let numbers = ["count", "window", "minutes"];
        for (id, mut holes) in known {
            let mut variables = english[&id].clone();
            variables.retain(|variable| !numbers.contains(&variable.as_str()));
            holes.sort_unstable();
            assert_eq!(variables, holes, "{id}");
        }
    }

    #[test]
    fn numbers_are_declined_as_each_language_does() {
        let repeated = |tag: &str, count: usize| {
            ALL[super::position(tag).unwrap()].texts.verdict_repeated[count - 2].as_str().to_owned()
        };
        assert!(repeated("en", 4).starts_with("Refused 4 times within 10 minutes"));
        assert!(repeated("ar", 2).contains("مرتين"), "{}", repeated("ar", 2));
        assert!(repeated("ar", 3).contains("مرات"), "{}", repeated("ar", 3));
        let temporary = |tag: &str| ALL[super::position(tag).unwrap()].texts.verdict_temporary.as_str();
        assert!(temporary("en").contains("in 2 minutes"));
        assert!(temporary("ar").contains("دقيقتين"), "{}", temporary("ar"));
    }

    #[test]
    fn no_text_holds_what_a_form_escapes_or_names_of_others() {
        for (tag, _, source) in SOURCES {
            for bad in ["<", "&", "AADSTS", "Microsoft"] {
                assert!(!source.contains(bad), "{tag}: {bad}");
            }
            // What is said is written into every form as it stands.
            let (language, _) = language(tag, "", source).unwrap();
            for text in language.texts.all() {
                assert!(!text.contains(['<', '>', '&', '"', '\'', '\\', '\n', '\t']), "{tag}: {text}");
            }
        }
    }
}
