//! Names that files define and refer to.

use std::collections::BTreeMap;

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::{nearest, shortened};

/// Names of one kind, and where each was defined.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) places: BTreeMap<String, Option<At>>,
}

impl Names {
    /// Adds a name; a second definition is reported.
    pub(super) fn define(&mut self, cx: &mut Context<'_>, kind: &str, name: &str, at: At) -> bool {
        if let Some(earlier) = self.places.get(name) {
            let first = match earlier {
                Some(at) => format!("first defined at {}", cx.sources.place(at.file, at.start)),
                None => "it is built in".to_owned(),
            };
            let what = format!("{kind} `{name}` is defined twice");
            cx.push(
                Diagnostic::error("id/duplicate", at, what)
                    .label("defined again")
                    .why("it would depend on the order of files which one counts")
                    .help(first),
            );
            return false;
        }
        self.places.insert(name.to_owned(), Some(at));
        true
    }

    pub(super) fn built_in(&mut self, name: &str) {
        self.places.insert(name.to_owned(), None);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Reports that a name is not defined, with the neighbour that was probably meant.
    pub(super) fn unknown(
        &self,
        cx: &mut Context<'_>,
        code: &'static str,
        kind: &str,
        name: &str,
        at: At,
        why: &str,
    ) {
        let near = nearest(name, self.places.keys().map(String::as_str)).map(|near| {
            let place = self.places.get(near).copied().flatten();
            let place = place.map(|at| format!(", defined at {}", cx.sources.place(at.file, at.start)));
            format!("did you mean `{near}`{}?", place.unwrap_or_default())
        });
        let help = near.unwrap_or_else(|| {
            let names: Vec<&str> = self.places.keys().map(String::as_str).take(10).collect();
            match names.as_slice() {
                [] => format!("define it, or take it away: no {kind} is defined so far"),
                names => format!("defined are `{}`", names.join("`, `")),
            }
        });
        let name = shortened(name);
        cx.push(
            Diagnostic::error(code, at, format!("no {kind} `{name}`"))
                .label("not defined in any loaded file")
                .why(why)
                .help(help),
        );
    }
}
