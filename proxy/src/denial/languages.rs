//! Which language a denial speaks: a link that was followed, then `Accept-Language`, then what app
//! and installation say, then English.

use std::sync::LazyLock;

use arrayvec::ArrayVec;
use portcullis_config::settings::LANGUAGES;

use super::cldr;
use super::escape::push_percent;
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
pub(super) const SOURCES: [(&str, &str, &str); 20] = [
    ("en", "English", include_str!("languages/en.ftl")),
    ("ar", "العربية", include_str!("languages/ar.ftl")),
    ("cs", "Čeština", include_str!("languages/cs.ftl")),
    ("de", "Deutsch", include_str!("languages/de.ftl")),
    ("es", "Español", include_str!("languages/es.ftl")),
    ("fr", "Français", include_str!("languages/fr.ftl")),
    ("hi", "हिन्दी", include_str!("languages/hi.ftl")),
    ("id", "Bahasa Indonesia", include_str!("languages/id.ftl")),
    ("it", "Italiano", include_str!("languages/it.ftl")),
    ("ja", "日本語", include_str!("languages/ja.ftl")),
    ("ko", "한국어", include_str!("languages/ko.ftl")),
    ("nl", "Nederlands", include_str!("languages/nl.ftl")),
    ("pl", "Polski", include_str!("languages/pl.ftl")),
    ("pt-BR", "Português (Brasil)", include_str!("languages/pt-BR.ftl")),
    ("sv", "Svenska", include_str!("languages/sv.ftl")),
    ("tr", "Türkçe", include_str!("languages/tr.ftl")),
    ("uk", "Українська", include_str!("languages/uk.ftl")),
    ("vi", "Tiếng Việt", include_str!("languages/vi.ftl")),
    ("zh-Hans", "简体中文", include_str!("languages/zh-Hans.ftl")),
    ("zh-Hant", "繁體中文", include_str!("languages/zh-Hant.ftl")),
];

/// Every language, in the order of [`LANGUAGES`].
pub(crate) static ALL: LazyLock<Vec<Language>> =
    // INVARIANT: there is a locale for each of them.
    LazyLock::new(|| {
        let languages = SOURCES.iter().filter_map(|(tag, name, source)| language(tag, name, source));
        languages.map(|(language, _)| language).collect()
    });

/// The language, and what is wrong with its file.
pub(super) fn language(
    tag: &'static str,
    name: &'static str,
    source: &str,
) -> Option<(Language, Vec<String>)> {
    let dir = if tag == "ar" { "rtl" } else { "ltr" };
    let mut resolver = Resolver::new(tag, source, dir == "rtl");
    let marks = match tag {
        "ja" | "zh-Hans" | "zh-Hant" => ("", "："),
        "fr" => (" ", "\u{a0}: "),
        _ => (" ", ": "),
    };
    let texts = Texts::resolve(&mut resolver, marks, cldr::locale(tag)?);
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
    let followed = query.and_then(|query| query.split('&').rev().find_map(wanted));
    followed.or_else(|| accept.and_then(accepted)).unwrap_or(default)
}

/// The position of the language that a pair of a query asks for.
fn wanted(pair: &str) -> Option<usize> {
    position(pair.strip_prefix("lang=")?)
}

/// Whether a pair of a query asks which languages there are.
fn asks(pair: &str) -> bool {
    matches!(pair, "lang" | "lang=")
}

/// Whether a query asks which languages there are, as the link of a denial does.
pub(crate) fn asks_for_list(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(asks))
}

/// The longest query that our links keep, in bytes: it stands in each of them, and pages stay small.
const KEPT_BYTES_MAX: usize = 256;

/// What a link to the same page in another language keeps of the query, with its last `&`, for an attribute in quotes. The
/// pair that chose the present language is left out.
///
/// It is as it was but for what could end an attribute or is no URL: quotes, angle brackets, spaces and what is not ASCII are
/// percent-encoded. A query that is too long is left out as a whole: half of one would be another one.
pub(crate) fn kept_query(query: Option<&str>) -> String {
    let query = query.filter(|query| query.len() <= KEPT_BYTES_MAX).unwrap_or_default();
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty() && !asks(pair)).collect();
    if let Some(followed) = pairs.iter().rposition(|pair| wanted(pair).is_some()) {
        pairs.remove(followed);
    }
    let mut kept = String::with_capacity(query.len());
    for pair in pairs {
        push_percent(&mut kept, pair, b"!$%()*+,/:;=?@[]");
        kept.push_str("&amp;");
    }
    kept
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

/// What readers of a tag that is none of ours read best of what there is: Chinese by the script of the region, the one
/// Portuguese, Mandarin and Cantonese by names of their own, Indonesian by the code that it had until 1989.
///
/// Readers of Norwegian and Danish are not among them: they list English, if they do not list Swedish.
const NEAREST: [(&str, &str); 10] = [
    ("cmn", "zh-Hans"),
    ("cmn-Hant", "zh-Hant"),
    ("in", "id"),
    ("pt", "pt-BR"),
    ("yue", "zh-Hant"),
    ("yue-Hans", "zh-Hans"),
    ("zh", "zh-Hans"),
    ("zh-HK", "zh-Hant"),
    ("zh-MO", "zh-Hant"),
    ("zh-TW", "zh-Hant"),
];

/// Looks a range up, shortening it from its end until something fits.
fn lookup(range: &str) -> Option<usize> {
    let mut wanted = range;
    loop {
        let nearest = NEAREST.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
        if let Some(found) = position(nearest.map_or(wanted, |(_, ours)| ours)) {
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
    use portcullis_config::settings::LANGUAGES;

    use super::{ALL, NEAREST, choose, kept_query};

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
            ("zh-SG", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-hk", "zh-Hant"),
            ("zh-MO,en;q=0.5", "zh-Hant"),
            ("zh-Hant-HK", "zh-Hant"),
            ("zh-Hans-TW", "zh-Hans"),
            ("cmn-Hant-TW", "zh-Hant"),
            ("yue-HK", "zh-Hant"),
            ("in-ID", "id"),
            ("iw-IL", "en"),
            ("nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.7,en-US;q=0.6", "en"),
            ("nb-NO,nb;q=0.9,sv;q=0.3,en;q=0.2", "sv"),
            ("uk-UA,ru;q=0.8", "uk"),
            ("hi-IN,en-IN;q=0.9", "hi"),
            ("ja-JP,en;q=0.8", "ja"),
            ("de-x-private", "de"),
            ("fi, da, fr;q=0.1", "fr"),
            ("fi", "en"),
            ("*", "en"),
            ("de;q=0, fr;q=0.1", "fr"),
            ("de;q=0, de-AT, fr;q=0.1", "fr"),
            ("de;q=nonsense, fr", "fr"),
            ("", "en"),
            (",,;q=1,-,", "en"),
            ("fi,fi,fi,fi,fi,fi,fi,fi,fi,fi,de", "en"),
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
            (None, Some("fi"), "nl"),
            (None, None, "nl"),
        ] {
            assert_eq!(ALL[choose(query, accept, default)].tag, tag, "{query:?} {accept:?}");
        }
    }

    #[test]
    fn what_is_near_to_a_tag_is_a_language_that_there_is() {
        for (tag, ours) in NEAREST {
            assert!(super::position(ours).is_some() && super::position(tag).is_none(), "{tag}");
        }
    }

    #[test]
    fn a_link_to_another_language_keeps_the_query_and_nothing_of_it_that_could_do_harm() {
        let long = "a=".to_owned() + &"b".repeat(254);
        for (query, kept) in [
            ("", ""),
            ("id=1&tab", "id=1&amp;tab&amp;"),
            ("&&id=a%20b+c&", "id=a%20b+c&amp;"),
            ("lang=de", ""),
            ("lang=de&id=1&LANG=fr", "id=1&amp;LANG=fr&amp;"),
            ("lang=xx&lang=fr&lang=ja&id=1", "lang=xx&amp;lang=fr&amp;id=1&amp;"),
            ("lang=%66r", "lang=%66r&amp;"),
            ("next=/a?b=c:d;e,f(g)*!$@[1]~", "next=/a?b=c:d;e,f(g)*!$@[1]~&amp;"),
            ("q=\"><script>alert('é')", "q=%22%3E%3Cscript%3Ealert(%27%C3%A9%27)&amp;"),
            ("q=a b\n{{lang}}\\`|^\u{7f}#", "q=a%20b%0A%7B%7Blang%7D%7D%5C%60%7C%5E%7F%23&amp;"),
            (&long, &(long.clone() + "&amp;")),
            (&(long.clone() + "b"), ""),
        ] {
            assert_eq!(kept_query(Some(query)), kept, "{query}");
        }
        assert_eq!(kept_query(None), "");
    }

    #[test]
    fn the_configuration_offers_the_languages_that_there_are() {
        let tags: Vec<_> = ALL.iter().map(|language| language.tag).collect();
        assert_eq!(tags, LANGUAGES);
        assert_eq!(ALL[0].tag, "en");
    }
}
