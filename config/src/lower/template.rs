//! The operator's own denial page: read at load, and held to what our own page keeps: it runs
//! nothing, loads nothing, and forgets nothing that the user needs.
//!
//! Every hole is escaped for text when the page is filled, which is why no hole but `lang` and
//! `dir` may stand inside a tag.

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::{nearest, shortened};
use crate::schema::tree::View;
use crate::settings::TEMPLATE_HOLES;

/// A template travels with every denial.
const BYTES_MAX: u64 = 64 << 10;
/// What the page of ours keeps to.
const BYTES_FIT: usize = 8 << 10;

/// Elements that run, load or lead elsewhere; the page's policy of content forbids them all.
const FORBIDDEN_ELEMENTS: [&str; 12] = [
    "script", "iframe", "frame", "object", "embed", "applet", "base", "link", "form", "audio", "video",
    "source",
];

/// The checked text of `template`.
pub(super) fn template(cx: &mut Context<'_>, view: View<'_>) -> Option<String> {
    let path = cx.readable(view, "template")?;
    let at = view.at_key("template");
    let read = crate::file::read(&path, BYTES_MAX).ok();
    let Some(text) = read.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        cx.push(
            Diagnostic::error("denial/template", at, "`template` is no UTF-8 text of at most 64KiB")
                .why("it is written into every denial page")
                .help("save it as UTF-8, and leave pictures out"),
        );
        return None;
    };
    if text.len() > BYTES_FIT {
        cx.push(
            Diagnostic::warning("denial/template-large", at, "`template` is larger than 8KiB")
                .why("it travels with every denial page, which stays below 12KB otherwise")
                .help("leave out what users do not need"),
        );
    }
    let problems = problems(&text);
    for (line, problem) in &problems {
        let what = format!("{}:{line}: {}", shortened(&path.display().to_string()), problem.what);
        cx.push(diagnostic(at, problem, what));
    }
    problems.is_empty().then_some(text)
}

fn diagnostic(at: At, problem: &Problem, what: String) -> Diagnostic {
    let help = problem.help.as_deref().unwrap_or(match problem.code {
        "denial/template-active" => "take it out of the page",
        _ => "config/README.md lists the holes, and where each may stand",
    });
    Diagnostic::error(problem.code, at, what).why(problem.why).help(help)
}

#[derive(Debug)]
struct Problem {
    code: &'static str,
    what: String,
    why: &'static str,
    help: Option<String>,
}

fn problem(code: &'static str, what: String, why: &'static str) -> Problem {
    Problem { code, what, why, help: None }
}

/// Everything that is wrong, with its line.
fn problems(text: &str) -> Vec<(usize, Problem)> {
    let mut found = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut place = Place::Text;
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        if let Some(after) = rest.strip_prefix("{{") {
            let Some((name, _)) = after.split_once("}}") else {
                found.push((
                    line,
                    problem("denial/template-hole", "`{{` is never closed".to_owned(), NO_HOLE),
                ));
                break;
            };
            taken = name.len() + 4;
            hole(&mut found, line, name, &place);
            seen.push(name);
        } else {
            match place {
                Place::Text if rest.starts_with("<!--") => place = Place::Comment,
                Place::Text if first == '<' && rest.get(1..).is_some_and(starts_a_tag) => {
                    let tag = tag_of(rest);
                    check_tag(&mut found, line, tag);
                    let is_style = tag.get(1..6).is_some_and(|name| name.eq_ignore_ascii_case("style"));
                    place = Place::Tag { opens_style: is_style };
                }
                Place::Tag { opens_style } if first == '>' => {
                    place = if opens_style { Place::Style } else { Place::Text };
                }
                Place::Style if rest.get(..7).is_some_and(|end| end.eq_ignore_ascii_case("</style")) => {
                    place = Place::Tag { opens_style: false };
                }
                Place::Style => check_style(&mut found, line, rest),
                Place::Comment if rest.starts_with("-->") => {
                    taken = 3;
                    place = Place::Text;
                }
                Place::Text | Place::Tag { .. } | Place::Comment => {}
            }
        }
        line += rest.get(..taken).map_or(0, |text| text.matches('\n').count());
        rest = rest.get(taken..).unwrap_or_default();
    }
    for (name, required) in TEMPLATE_HOLES {
        if *required && !seen.contains(name) {
            let what = format!("the hole `{{{{{name}}}}}` is missing");
            found.push((line, problem("denial/template-hole", what, "users would not see what it says")));
        }
    }
    found
}

const NO_HOLE: &str = "the page would show it to users as it stands";

/// Where the reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    Tag { opens_style: bool },
    Style,
    Comment,
}

fn hole(found: &mut Vec<(usize, Problem)>, line: usize, name: &str, place: &Place) {
    if !TEMPLATE_HOLES.iter().any(|(known, _)| *known == name) {
        let what = format!("there is no hole `{{{{{}}}}}`", shortened(name));
        let help = nearest(name, TEMPLATE_HOLES.iter().map(|(known, _)| *known));
        let help = help.map(|near| format!("did you mean `{{{{{near}}}}}`?"));
        found.push((line, Problem { help, ..problem("denial/template-hole", what, NO_HOLE) }));
        return;
    }
    let fits = match place {
        Place::Text => !matches!(name, "lang" | "dir" | "style"),
        Place::Tag { .. } => matches!(name, "lang" | "dir"),
        Place::Style => name == "style",
        Place::Comment => false,
    };
    if !fits {
        let what = format!("the hole `{{{{{name}}}}}` cannot stand here");
        let why = "what fills it is escaped for text alone; in a tag or a style sheet it could do harm";
        found.push((line, problem("denial/template-hole", what, why)));
    }
}

fn starts_a_tag(rest: &str) -> bool {
    rest.starts_with(|first: char| {
        first.is_ascii_alphabetic() || first == '/' || first == '!' || first == '?'
    })
}

/// A tag up to its end; quoted values may hold `>`.
fn tag_of(text: &str) -> &str {
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (None, '"' | '\'') => quote = Some(char),
            (Some(open), close) if open == close => quote = None,
            (None, '>') => return text.get(..=at).unwrap_or(text),
            (None | Some(_), _) => {}
        }
    }
    text
}

fn check_tag(found: &mut Vec<(usize, Problem)>, line: usize, tag: &str) {
    let lower = tag.to_ascii_lowercase();
    let name: String = lower.chars().skip(1).take_while(char::is_ascii_alphanumeric).collect();
    if FORBIDDEN_ELEMENTS.contains(&name.as_str()) {
        let what = format!("`<{name}>` cannot be on the page");
        found
            .push((line, problem("denial/template-active", what, "the page runs nothing and loads nothing")));
        return;
    }
    if name == "meta" && lower.contains("http-equiv") {
        let what = "`<meta http-equiv>` cannot be on the page".to_owned();
        found.push((
            line,
            problem("denial/template-active", what, "it could weaken the headers of the answer"),
        ));
    }
    for (attribute, value) in attributes(&lower) {
        let value = value.trim_start();
        let why = if attribute.starts_with("on") {
            Some("the page runs no script")
        } else if attribute == "style" {
            Some("the policy of content admits style sheets, not single styles")
        } else if value.starts_with("javascript:") || value.starts_with("vbscript:") {
            Some("the page runs no script")
        } else if matches!(attribute, "src" | "srcset" | "poster" | "background" | "data" | "xlink:href")
            && !value.starts_with("data:image/")
        {
            Some("the page loads nothing; put an image into it as `data:image/…`")
        } else {
            None
        };
        if let Some(why) = why {
            let what = format!("the attribute `{}` cannot be on the page", shortened(attribute));
            found.push((line, problem("denial/template-active", what, why)));
        }
    }
}

/// Names and values of a tag's attributes, in lower case.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let inner = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
    let mut rest =
        inner.split_once(|char: char| char.is_ascii_whitespace() || char == '/').map_or("", |(_, rest)| rest);
    let mut list = Vec::new();
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_ascii_whitespace() || char == '/');
        if rest.is_empty() {
            return list;
        }
        // A `=` at the very start is a part of the name, as browsers read it.
        let ends =
            |(at, char): (usize, char)| at > 0 && (char.is_ascii_whitespace() || char == '=' || char == '/');
        let end = rest.char_indices().find(|found| ends(*found)).map_or(rest.len(), |(at, _)| at);
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let after_space = after.trim_start();
        let Some(value) = after_space.strip_prefix('=') else {
            list.push((name, ""));
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let (value, next) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = value.get(1..).unwrap_or_default();
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => value.split_once(|char: char| char.is_ascii_whitespace()).unwrap_or((value, "")),
        };
        list.push((name, value));
        rest = next;
    }
}

/// Style sheets load nothing either.
fn check_style(found: &mut Vec<(usize, Problem)>, line: usize, rest: &str) {
    let starts = |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let loads = if starts("@import") {
        true
    } else if starts("url(") {
        let inside = rest.get(4..).unwrap_or_default().trim_start().trim_start_matches(['"', '\'']);
        !inside.get(..11).is_some_and(|head| head.eq_ignore_ascii_case("data:image/"))
    } else {
        false
    };
    if loads {
        let what = "the style sheet loads something".to_owned();
        found.push((line, problem("denial/template-active", what, "the page loads nothing")));
    }
}

#[cfg(test)]
mod tests {
    use super::problems;

    const WHOLE: &str = "<!doctype html><html lang=\"{{lang}}\" dir=\"{{dir}}\"><title>{{title}}</title>\
        <style>{{style}} p{color:red}</style><h1>{{headline}}</h1><p>{{lead}}</p>{{verdict}}{{message}}\
        {{remedies}}{{actions}}{{reasons}}<dl>{{details}}</dl><pre>{{report}}</pre>";

    fn codes(text: &str) -> Vec<&'static str> {
        problems(text).into_iter().map(|(_, problem)| problem.code).collect()
    }

    #[test]
    fn a_whole_template_is_taken() {
        assert!(problems(WHOLE).is_empty(), "{:?}", problems(WHOLE));
    }

    #[test]
    fn a_hole_that_is_unknown_unclosed_or_missing_is_told() {
        assert_eq!(codes(&WHOLE.replace("{{lead}}", "{{leed}}")), ["denial/template-hole"; 2]);
        assert_eq!(codes(&WHOLE.replace("{{lead}}", "")), ["denial/template-hole"]);
        assert!(codes(&format!("{WHOLE}{{{{lead")).contains(&"denial/template-hole"));
    }

    #[test]
    fn what_runs_or_loads_is_refused() {
        for bad in [
            "<script>alert(1)</script>",
            "<SCRIPT src=x>",
            "<img src=https://example.com/x.png>",
            "<img src='//example.com/x.png'>",
            "<img/src=/x>",
            "<link rel=stylesheet href=/x.css>",
            "<p onclick=\"x()\">",
            "<p/onclick=x()>",
            "<p title=\">\" onmouseover='x()'>",
            "<a href=\" javascript:x()\">",
            "<p style=\"color:red\">",
            "<meta http-equiv=refresh content=0>",
            "<iframe srcdoc=x>",
            "<style>@import 'x.css';</style>",
            "<style>p{background:url(https://example.com/x)}</style>",
            "<form action=/x>",
            "<base href=/x>",
        ] {
            assert!(codes(&format!("{WHOLE}{bad}")).contains(&"denial/template-active"), "{bad}");
        }
        for good in
            ["<img src=\"data:image/png;base64,AA\" alt=\"\">", "<a href=\"https://example.com/\">x</a>"]
        {
            assert!(codes(&format!("{WHOLE}{good}")).is_empty(), "{good}");
        }
    }

    #[test]
    fn a_hole_in_a_tag_a_style_sheet_or_a_comment_is_refused() {
        for bad in [
            "<a href=\"{{lead}}\">",
            "<style>{{lead}}</style>",
            "<!-- {{lead}} -->",
            "<p title={{lang}}{{lead}}>",
        ] {
            assert_eq!(codes(&format!("{WHOLE}{bad}")), ["denial/template-hole"], "{bad}");
        }
    }

    #[test]
    fn nothing_that_can_be_written_makes_the_check_panic() {
        for odd in [
            "<", "{{", "<a", "<a href", "<a href=", "<a =", "<a ='", "</style", "é<é>", "<!--", "<p ==>",
            "<p /=/>",
        ] {
            problems(odd);
            problems(&format!("{WHOLE}{odd}"));
        }
    }
}
