//! What the files of the languages are held to: every text with its holes, nothing left in English, the marks and the numbers of
//! the language.

use std::collections::{BTreeMap, BTreeSet};

use crate::denial::languages::{ALL, SOURCES, language, position};
use crate::denial::texts::ids;

/// Texts that are the same in English and in another language.
const SAME: [(&str, &str); 14] = [
    ("de", "heading-details"),
    ("de", "label-app"),
    ("de", "label-client"),
    ("de", "value-browser"),
    ("fr", "contact"),
    ("fr", "label-client"),
    ("id", "value-browser"),
    ("it", "label-client"),
    ("it", "value-browser"),
    ("nl", "contact"),
    ("nl", "label-app"),
    ("nl", "label-client"),
    ("nl", "value-browser"),
    ("sv", "label-app"),
];

/// The texts of a file as they are written, by their ids.
fn written(source: &str) -> BTreeMap<&str, String> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = "";
    for line in source.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(" = ") {
            Some((id, text)) if line.starts_with(|first: char| first.is_ascii_lowercase()) => {
                last = id;
                assert!(texts.insert(id, text.to_owned()).is_none(), "`{id}` is there twice");
            }
            _ => texts.get_mut(last).unwrap().push_str(line),
        }
    }
    texts
}

#[test]
fn nothing_is_left_in_english() {
    let english = written(SOURCES[0].2);
    for (tag, _, source) in &SOURCES[1..] {
        let texts = written(source);
        assert_eq!(texts.len(), english.len(), "{tag}");
        for (id, text) in &texts {
            assert_eq!(*text == english[id], SAME.contains(&(tag, id)), "{tag}: {id} = {text}");
        }
    }
}

#[test]
fn names_stand_between_the_quotation_marks_of_the_language_and_no_others_are_used() {
    const MARKS: [char; 13] = ['"', '„', '“', '”', '«', '»', '「', '」', '『', '』', '‘', '‚', '`'];
    for ((tag, _, source), language) in SOURCES.iter().zip(ALL.iter()) {
        let (open, close) = language.texts.locale.quotes;
        for (id, text) in written(source) {
            for name in ["{ $app }", "{ $provider }"] {
                let quoted = [open, name, close].concat();
                assert_eq!(text.matches(name).count(), text.matches(&quoted).count(), "{tag}: {id} = {text}");
            }
            assert_eq!(text.matches('⟨').count(), text.matches('⟩').count(), "{tag}: {id}");
        }
        for text in language.texts.all() {
            let foreign = |char: char| MARKS.contains(&char) && !open.contains(char) && !close.contains(char);
            assert!(!text.contains(foreign), "{tag}: {text}");
        }
    }
}

#[test]
fn the_marks_between_words_are_those_of_the_language() {
    for language in ALL.iter() {
        for text in language.texts.all() {
            assert!(!text.contains('\'') && !text.contains("..."), "{}: {text}", language.tag);
            let wrong: &[_] = match language.tag {
                // Full width: a half-width mark stands apart from the characters beside it.
                "ja" | "zh-Hans" | "zh-Hant" => &[':', ',', ';', '?', '!', '(', ')', '.'],
                "ar" => &[',', ';', '?'],
                "hi" => &['.'],
                _ => &['：', '。', '，', '？', '।', '؟'],
            };
            assert!(!text.contains(wrong), "{}: {text}", language.tag);
            if language.tag == "fr" {
                let words: Vec<_> = text.split(' ').collect();
                assert!(words.iter().all(|word| ![":", ";", "?", "!", "»"].contains(word)), "{text}");
            }
        }
    }
}

#[test]
fn a_sentence_ends_in_every_language_as_it_does_in_english() {
    let english = written(SOURCES[0].2);
    for (tag, _, source) in &SOURCES[1..] {
        for (id, text) in written(source) {
            if english[id].ends_with('.') {
                assert!(text.ends_with(['.', '。', '।']), "{tag}: {id} = {text}");
            }
        }
    }
}

/// The variables of a text, each once.
fn variables(text: &str) -> BTreeSet<&str> {
    text.split('$')
        .skip(1)
        .filter_map(|rest| rest.split(|char: char| !char.is_ascii_lowercase()).next())
        .collect()
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
            let text = texts.get(id.as_str()).unwrap_or_else(|| panic!("{tag}: `{id}` is missing"));
            assert_eq!(variables(text), variables(&english[id.as_str()]), "{tag}: {id}");
        }
        for id in texts.keys() {
            assert!(known.iter().any(|(known, _)| known == id), "{tag}: nothing uses `{id}`");
        }
    }
    let numbers = ["count", "window", "minutes", "steps"];
    for (id, holes) in known {
        let mut variables = variables(&english[id.as_str()]);
        variables.retain(|variable| !numbers.contains(variable));
        assert_eq!(variables, holes.into_iter().collect(), "{id}");
    }
}

#[test]
fn numbers_are_declined_as_each_language_does() {
    let texts = |tag: &str| &ALL[position(tag).unwrap()].texts;
    let repeated = |tag: &str, count: usize| texts(tag).lead_refused_again[count - 2].as_str();
    assert!(repeated("en", 4).starts_with("Refused 4 times in the last 10 minutes"));
    assert!(repeated("ar", 2).contains("مرتين"), "{}", repeated("ar", 2));
    assert!(repeated("ar", 3).contains("مرات"), "{}", repeated("ar", 3));
    let steps =
        |tag: &str, count: usize| texts(tag).note_steps[count - 2].as_str().split('.').next().unwrap();
    assert_eq!(steps("en", 2), "Both steps are needed");
    assert_eq!(steps("en", 3), "All 3 steps are needed");
    assert_eq!(steps("ar", 2), "الخطوتان مطلوبتان معًا");
    assert_eq!(steps("pl", 3), "Wszystkie kroki (3) są konieczne");
    let waiting: String = ALL[position("cs").unwrap()].texts.note_waiting.as_str().to_owned();
    assert!(waiting.contains("2 minuty"), "{waiting}");
}

#[test]
fn no_text_holds_what_a_form_escapes_or_names_of_others() {
    for (language, (tag, _, source)) in ALL.iter().zip(SOURCES) {
        for bad in ["<", "&", "AADSTS", "Microsoft"] {
            assert!(!source.contains(bad), "{tag}: {bad}");
        }
        // What is said is written into every form as it stands.
        for text in language.texts.all() {
            assert!(!text.contains(['<', '>', '&', '"', '\'', '\\', '\n', '\t']), "{tag}: {text}");
        }
    }
}
