//! JSON to a tree in which every value has its place, so that a mistake in a request is shown like one
//! in a configuration.

use crate::diagnose::{At, Diagnostic, FileId};
use crate::schema::tree::{Entry, Kind, Node};

/// The deepest nesting.
const DEPTH_MAX: usize = 32;

/// Parses one JSON value that fills the text. `null` members are left out: Graph writes them for what
/// is absent.
///
/// # Errors
/// The first mistake, with its place.
pub(super) fn parse(file: FileId, text: &str) -> Result<Node, Box<Diagnostic>> {
    let mut reader = Reader { file, text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.flaw(reader.at, 1, "the value should end here"));
    }
    value.ok_or_else(|| reader.flaw(0, 4, "`null` is no request"))
}

struct Reader<'t> {
    file: FileId,
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn flaw(&self, start: usize, len: usize, what: &str) -> Box<Diagnostic> {
        let at = At { file: self.file, start, end: (start + len).min(self.text.len()) };
        Box::new(
            Diagnostic::error("json/syntax", at, what).help("write one JSON object, or the request as TOML"),
        )
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<(), Box<Diagnostic>> {
        self.space();
        if self.peek() != Some(wanted) {
            return Err(self.flaw(self.at, 1, what));
        }
        self.at += 1;
        Ok(())
    }

    /// The next value; `None` is null.
    fn value(&mut self, depth: usize) -> Result<Option<Node>, Box<Diagnostic>> {
        self.space();
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(self.flaw(start, 1, "the value nests too deep"));
        }
        let kind = match self.peek() {
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(_) => {
                let rest = self.text.get(start..).unwrap_or_default();
                let len = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                let word = rest.get(..len).unwrap_or_default();
                self.at = start + len;
                match word {
                    "null" => return Ok(None),
                    "true" => Kind::Bool(true),
                    "false" => Kind::Bool(false),
                    number => match (number.parse::<i64>(), serde_json::from_str::<f64>(number)) {
                        (Ok(integer), _) => Kind::Integer(Some(integer)),
                        (Err(_), Ok(float)) => Kind::Float(float),
                        (Err(_), Err(_)) => {
                            return Err(self.flaw(start, len.max(1), "expected a JSON value"));
                        }
                    },
                }
            }
            None => return Err(self.flaw(start, 0, "the text ends where a value is expected")),
        };
        Ok(Some(Node { at: At { file: self.file, start, end: self.at }, kind }))
    }

    fn table(&mut self, depth: usize) -> Result<Kind, Box<Diagnostic>> {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Table(entries));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.flaw(start, 1, "expected a key in double quotes"));
            }
            let key = self.string()?;
            let at = At { file: self.file, start, end: self.at };
            if entries.iter().any(|entry| entry.key == key) {
                return Err(self.flaw(start, self.at - start, "the key is written twice"));
            }
            self.expect(b':', "expected `:`")?;
            if let Some(value) = self.value(depth + 1)? {
                entries.push(Entry { key, at, value });
            }
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b'}', "expected `,` or `}`")?;
                return Ok(Kind::Table(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Box<Diagnostic>> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::List(items));
        }
        loop {
            items.extend(self.value(depth + 1)?);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b']', "expected `,` or `]`")?;
                return Ok(Kind::List(items));
            }
        }
    }

    /// A string; escapes are left to the JSON library once its end is found.
    fn string(&mut self) -> Result<String, Box<Diagnostic>> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.flaw(start, 1, "the text in quotes does not end")),
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(quoted)
            .map_err(|_| self.flaw(start, quoted.len(), "an escape in this text has no meaning"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Sources;

    #[test]
    fn a_mistake_in_json_is_told_where_it_is() {
        for (text, start) in [
            ("{\"a\": 1,}", 8),
            ("{\"a\" 1}", 5),
            ("[1 2]", 3),
            ("\"open", 0),
            ("{\"a\": nul}", 6),
            ("{} {}", 3),
            ("{\"a\": 1, \"a\": 2}", 9),
            ("\"\\x\"", 0),
            ("", 0),
        ] {
            let file = Sources::default().add("x.json".into(), text.to_owned());
            assert_eq!(parse(file, text).unwrap_err().span.start, start, "{text}");
        }
        let file = Sources::default().add("x.json".into(), String::new());
        assert!(parse(file, &"[".repeat(10_000)).is_err());
        let node = parse(file, r#" {"a": [true, null, -2, 1.5, "ä\n"], "b": null} "#).unwrap();
        assert_eq!((node.at.start, node.entries().len()), (1, 1));
        assert_eq!(node.entries()[0].value.items().len(), 4);
    }
}
