//! What one refusal says, on its page and to programs; and what holds for each, whatever the situation.

use serde_json::Value;

use super::site::{MAIN, NOTES, POLICIES, Site, Visitor};
use crate::wire::Answer;

/// Never in a refusal, in no form: what sends people to the wrong fix, and what tells a thief that he was noticed.
const NEVER: [&str; 9] =
    ["permission", "privilege", "aadsts", "unregistered", "risk", "suspicious", "compromised", "{{", "{ $"];
const AGAIN_IN_VAIN: &str = "trying again will not change it";
const PASSWORD: &str = "Your password is not the problem.";

/// A refusal as a person sees it, and as a program reads it.
pub(super) struct Said {
    pub(super) page: Answer,
    /// The page's words, without its markup.
    pub(super) text: String,
    pub(super) twin: Answer,
    pub(super) problem: Value,
}

/// The words of a page: without style, script and markup, and with one space in place of any other white space.
pub(super) fn words(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let skipped = ["style", "script", "svg", "template"].iter().find(|name| tag.starts_with(**name));
        rest = match skipped {
            Some(name) => tag.split_once(&format!("</{name}>")).unwrap().1,
            None => tag.split_once('>').unwrap().1,
        };
    }
    text.push_str(rest);
    for (escaped, plain) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")] {
        text = text.replace(escaped, plain);
    }
    text.replace(['\u{2068}', '\u{2069}'], "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without what is sealed: any word may come about in it by chance.
fn unsealed(text: &str) -> String {
    let is_sealed = |word: &str| {
        word.len() >= 40 && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
    };
    text.split([' ', '"']).filter(|word| !is_sealed(word)).collect::<Vec<_>>().join(" ")
}

/// Words with no space around them: where markup stood, is no matter.
fn tight(text: &str) -> String {
    text.split_whitespace().collect()
}

/// What is between two texts of a page.
pub(super) fn between<'p>(page: &'p str, open: &str, close: &str) -> &'p str {
    page.split_once(open)
        .and_then(|(_, rest)| rest.split_once(close))
        .unwrap_or_else(|| panic!("no {open} in {page}"))
        .0
}

/// Names that are for administrators: of policies, locations and groups.
fn inner_names() -> impl Iterator<Item = &'static str> {
    let quoted = |line: &'static str| line.split('"').nth(1).unwrap();
    let policies = POLICIES.lines().chain(NOTES.lines()).filter(|line| line.starts_with("id = ")).map(quoted);
    let locations =
        MAIN.split("[[location]]\n").skip(1).map(move |table| quoted(table.lines().next().unwrap()));
    policies.chain(locations).chain(["externals", "bookkeepers"])
}

impl Said {
    /// Asks as a person and as a program, and looks at what holds always.
    pub(super) fn of(site: &Site, visitor: &Visitor) -> Self {
        let (page, twin) = (site.open(visitor), site.call(visitor));
        let text = words(&page.body);
        let problem = serde_json::from_str(&twin.body).unwrap_or_else(|error| panic!("{error}: {twin:?}"));
        let said = Self { page, text, twin, problem };
        said.holds_always();
        said
    }

    fn holds_always(&self) {
        let Self { page, text, twin, problem } = self;
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{}", page.head);
        assert_eq!(twin.header("content-type"), Some("application/problem+json"));
        for answer in [page, twin] {
            for (name, value) in [
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("x-robots-tag", "noindex"),
                ("content-language", "en"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{name}: {}", answer.head);
            }
            // A form of ours says where it comes from; else nothing is said of the page to anybody.
            let referrer = answer.header("referrer-policy").unwrap();
            let has_form = answer.body.contains("<form");
            assert_eq!(referrer, if has_form { "same-origin" } else { "no-referrer" }, "{}", answer.head);
            assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
            assert!(answer.header("proxy-status").unwrap().starts_with("portcullis; error="));
        }
        let id = twin.header("x-request-id").unwrap();
        assert_eq!(
            (&problem["request_id"], &problem["instance"]),
            (&id.into(), &format!("urn:uuid:{id}").into())
        );
        assert!(page.body.contains(page.header("x-request-id").unwrap()), "{text}");
        assert_eq!((&problem["status"], page.status), (&twin.status.into(), twin.status));
        let reference = problem["reference"].as_str().unwrap();
        assert!(reference.len() == 9 && reference.as_bytes()[4] == b'-', "{reference}");

        let headline = words(between(&page.body, "<h1>", "</h1>"));
        assert_eq!(tight(problem["title"].as_str().unwrap()), tight(&headline));
        let detail = problem["detail"].as_str().unwrap();
        for remedy in problem["remedies"].as_array().into_iter().flatten() {
            let says = remedy["text"].as_str().unwrap();
            assert!(tight(text).contains(&tight(says)), "the page does not say {says}: {text}");
            // A browser shows no device, and a program signs in without one: each is told its own.
            let seen = remedy["seen"].as_str().filter(|seen| !seen.starts_with("No device identity came"));
            if let Some(seen) = seen {
                assert!(tight(text).contains(&tight(seen)), "the page does not say {seen}: {text}");
            }
            assert_eq!(remedy["verified"], remedy["kind"] != "help_desk", "{remedy}");
        }
        assert!(!detail.contains("password is not"), "a program has no password: {detail}");
        assert!(!(text.contains(AGAIN_IN_VAIN) && page.body.contains(">Try again</a>")), "{text}");
        let is_unexplained =
            problem["reasons"].as_array().into_iter().flatten().any(|one| one["class"] == "policy");
        assert!(!(text.contains(PASSWORD) && (page.status != 403 || is_unexplained)), "{text}");
        let (shown, told) = (unsealed(text).to_lowercase(), unsealed(&twin.body).to_lowercase());
        for word in NEVER.into_iter().chain(inner_names()) {
            assert!(!shown.contains(word) && !told.contains(word), "`{word}`: {text}\n{}", twin.body);
        }
        assert!(
            !page.body.contains("<script src") && page.body.len() < 14 * 1024,
            "{} bytes",
            page.body.len()
        );
    }

    /// Status, code and word of it.
    pub(super) fn is(&self, status: u16, code: u32, error: &str) -> &Self {
        assert_eq!((self.twin.status, &self.problem["code"]), (status, &code.into()), "{}", self.problem);
        assert_eq!(self.problem["error"], error);
        assert_eq!(self.problem["type"], format!("urn:portcullis:denial:{code}"));
        let details = format!("details=\"{code}\"");
        assert!(self.twin.header("proxy-status").unwrap().contains(&details), "{}", self.twin.head);
        self
    }

    pub(super) fn headline(&self, expected: &str) -> &Self {
        assert_eq!(self.problem["title"], expected);
        self
    }

    /// All classes that failed, in order, and what would end it.
    pub(super) fn classes(&self, expected: &[&str], resolution: &str) -> &Self {
        let of = |reason: &Value| reason["class"].as_str().unwrap().to_owned();
        let classes: Vec<_> = self.problem["reasons"].as_array().into_iter().flatten().map(of).collect();
        assert_eq!(classes, expected, "{}", self.problem);
        assert_eq!(self.problem["resolution"], resolution, "{}", self.problem);
        self
    }

    /// What is offered, in order: the kind of each step, and of which way it is a step.
    pub(super) fn remedies(&self, expected: &[(&str, u64)]) -> &Self {
        let of = |one: &Value| (one["kind"].as_str().unwrap().to_owned(), one["way"].as_u64().unwrap());
        let found: Vec<_> = self.problem["remedies"].as_array().into_iter().flatten().map(of).collect();
        let expected: Vec<_> = expected.iter().map(|(kind, way)| ((*kind).to_owned(), *way)).collect();
        assert_eq!(found, expected, "{}", self.problem);
        self
    }

    /// All of these are on the page.
    pub(super) fn says(&self, expected: &[&str]) -> &Self {
        for wanted in expected {
            assert!(tight(&self.text).contains(&tight(wanted)), "`{wanted}` is missing: {}", self.text);
        }
        self
    }

    /// None of these is on the page, nor told to a program.
    pub(super) fn never(&self, unwanted: &[&str]) -> &Self {
        let (shown, told) = (unsealed(&self.text).to_lowercase(), unsealed(&self.twin.body).to_lowercase());
        for word in unwanted {
            let word = word.to_lowercase();
            assert!(!shown.contains(&word), "`{word}`: {}", self.text);
            assert!(!told.contains(&word), "`{word}`: {}", self.twin.body);
        }
        self
    }

    /// What the program is told of where it comes from.
    pub(super) fn client(&self, field: &str) -> &Value {
        &self.problem["client"][field]
    }
}
