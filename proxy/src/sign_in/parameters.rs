//! The query of a callback or of a link to sign in: each parameter once, or it is not read at all. Of two values one reader
//! takes the first, another the last.

use url::form_urlencoded;

/// Parameters that one query may have.
const PARAMETERS_MAX: usize = 24;
/// What a query may have, in bytes.
const QUERY_BYTES_MAX: usize = 8 * 1024;

/// The parameters of one query, each of them once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of a target; `None` when a name is doubled, or there is too much.
    pub(super) fn read(target: &str) -> Option<Self> {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        if query.len() > QUERY_BYTES_MAX {
            return None;
        }
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if found.len() >= PARAMETERS_MAX || found.iter().any(|(known, _)| *known == name) {
                return None;
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Some(Self(found))
    }

    /// The value under this name; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether there is such a parameter, whatever its value is.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// A query of these parameters.
pub(super) fn query<'p>(parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_parameter_makes_a_query_unreadable() {
        let read = |target: &str| Parameters::read(target);
        let good = read("/x?code=a&state=b%2Bc&empty=").unwrap();
        assert_eq!((good.get("code"), good.get("state"), good.get("empty")), (Some("a"), Some("b+c"), None));
        assert!(good.has("empty") && !good.has("iss"));
        for doubled in ["/x?state=a&state=a", "/x?code=a&state=b&c%6Fde=a", "/x?iss=&iss="] {
            assert!(read(doubled).is_none(), "{doubled}");
        }
        assert!(read("/x").is_some());
        assert!(read(&format!("/x?a={}", "b".repeat(QUERY_BYTES_MAX))).is_none());
    }
}
