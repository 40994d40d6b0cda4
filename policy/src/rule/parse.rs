//! Tokens to a checked tree: names known, operators allowed for the attribute, operands of the kind.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::check::{Wrong, check};
use super::error::{RuleError, error};
use super::lex::{Kind, Token, lex};
use super::tree::{Attribute, Comparison, Node, Operand, Operator, Reach, Test};
use crate::text::folded;
use crate::value::DeviceAttribute;

struct Parser<'t> {
    tokens: &'t [Token],
    next: usize,
    end: usize,
    depth: usize,
}

/// The longest rule, in bytes. Entra's limit is 3,072 characters.
pub(super) const LEN_MAX: usize = 16 * 1024;
/// The deepest nesting.
pub(super) const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Node, RuleError> {
    if text.len() > LEN_MAX {
        let what = format!("the rule has {} bytes; {} are allowed", text.len(), LEN_MAX);
        return Err(error(0, 0, what, "split it into several policies"));
    }
    let tokens = lex(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), depth: 0 };
    let root = parser.alternatives()?;
    match parser.peek() {
        None => Ok(root),
        Some(token) => Err(error(
            token.offset,
            token.len,
            "the rule should end here",
            "join conditions with `-and` or `-or`",
        )),
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, expected: &str) -> Result<Token, RuleError> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token.ok_or_else(|| {
            error(
                self.end,
                0,
                format!("the rule ends where {expected} is expected"),
                format!("add {expected}"),
            )
        })
    }

    /// Takes the next token when it is this operator, with or without its dash.
    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|token| match &token.kind {
            Kind::Operator(word) | Kind::Word(word) => word.eq_ignore_ascii_case(wanted),
            Kind::Open | Kind::Close | Kind::OpenList | Kind::CloseList | Kind::Comma | Kind::Text(_) => {
                false
            }
        });
        self.next += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Result<Node, RuleError> {
        let mut nodes = Vec::from([self.conjunction()?]);
        while self.takes("or") {
            nodes.push(self.conjunction()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes) })
    }

    fn conjunction(&mut self) -> Result<Node, RuleError> {
        let mut nodes = Vec::from([self.term()?]);
        while self.takes("and") {
            nodes.push(self.term()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes) })
    }

    fn term(&mut self) -> Result<Node, RuleError> {
        if self.depth > DEPTH_MAX {
            let (here, len) = self.peek().map_or((self.end, 0), |token| (token.offset, 1));
            let what = format!("the rule nests deeper than {}", DEPTH_MAX);
            return Err(error(here, len, what, "flatten it"));
        }
        if self.takes("not") {
            self.depth += 1;
            let inner = self.term()?;
            self.depth -= 1;
            return Ok(Node::Not(Box::new(inner)));
        }
        if self.peek().is_some_and(|token| token.kind == Kind::Open) {
            self.next += 1;
            self.depth += 1;
            let inner = self.alternatives()?;
            self.depth -= 1;
            self.close()?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, RuleError> {
        let name = self.take("an attribute such as `device.isCompliant`")?;
        let Kind::Word(word) = &name.kind else {
            return Err(error(
                name.offset,
                name.len,
                "expected an attribute",
                "begin with `device.`, `user.`, `app.` or `request.`",
            ));
        };
        let attribute = attribute(word).ok_or_else(|| unknown(&name, word))?;
        let reach = if self.takes("any") {
            Reach::Any
        } else if self.takes("all") {
            Reach::All
        } else {
            let (operator, mut operand) = self.test(&name, word, &attribute, Reach::Whole)?;
            if attribute == Attribute::Path {
                operand.compose();
            }
            return Ok(Node::Compare(Comparison { attribute, reach: Reach::Whole, operator, operand }));
        };
        // Each element is called `_`; exports write it with and without parentheses.
        let opened = self.peek().is_some_and(|token| token.kind == Kind::Open);
        self.next += usize::from(opened);
        let element = self.take("`_`, the element,")?;
        if !matches!(&element.kind, Kind::Word(word) if **word == *"_") {
            let help = "write `-any (_ -startsWith \"…\")`";
            return Err(error(element.offset, element.len, "expected `_`, the element", help));
        }
        let (operator, operand) = self.test(&name, word, &attribute, reach)?;
        if opened {
            self.close()?;
        }
        Ok(Node::Compare(Comparison { attribute, reach, operator, operand }))
    }

    fn close(&mut self) -> Result<(), RuleError> {
        let close = self.take("`)`")?;
        if close.kind == Kind::Close {
            return Ok(());
        }
        Err(error(close.offset, close.len, "expected `)`", "close the parenthesis"))
    }

    /// An operator and its value, which must fit the attribute.
    fn test(
        &mut self,
        name: &Token,
        word: &str,
        attribute: &Attribute,
        reach: Reach,
    ) -> Result<(Operator, Operand), RuleError> {
        let sign = self.take("an operator such as `-eq`")?;
        let (Kind::Operator(found) | Kind::Word(found)) = &sign.kind else {
            return Err(error(
                sign.offset,
                sign.len,
                "expected an operator",
                "write `-eq`, `-ne`, `-in`, `-contains` …",
            ));
        };
        let operator = operator(found).ok_or_else(|| {
            let help = if found.eq_ignore_ascii_case("match") || found.eq_ignore_ascii_case("notMatch") {
                "patterns are not supported: use -startsWith, -endsWith or -contains"
            } else {
                "operators are -eq -ne -startsWith -notStartsWith -endsWith -notEndsWith -contains -notContains -in -notIn -any -all -lt -le -gt -ge"
            };
            error(sign.offset, sign.len, format!("`{found}` is no operator"), help)
        })?;
        let value = self.peek().map_or((self.end, 0), |token| (token.offset, token.len));
        let operand = self.operand(&sign, operator)?;
        match check(attribute, reach, operator, &operand) {
            Ok(()) => Ok((operator, operand)),
            Err(Wrong::Operator(help)) => {
                // With `-any` and `-all` it is the attribute that does not fit.
                let (offset, len) =
                    if reach == Reach::Whole { (sign.offset, sign.len) } else { (name.offset, name.len) };
                let what = match reach {
                    Reach::Whole => format!("`{word}` does not allow `-{found}`"),
                    Reach::Any | Reach::All => format!("`{word}` is no collection"),
                };
                Err(error(offset, len, what, help))
            }
            Err(Wrong::Value(what, help)) => Err(error(value.0, value.1, what, help)),
        }
    }

    fn operand(&mut self, sign: &Token, operator: Operator) -> Result<Operand, RuleError> {
        let first = self.take("a value")?;
        let value = |token: &Token| match &token.kind {
            Kind::Text(text) | Kind::Word(text) => Some(folded(text).into_boxed_str()),
            Kind::Open | Kind::Close | Kind::OpenList | Kind::CloseList | Kind::Comma | Kind::Operator(_) => {
                None
            }
        };
        let operand = match &first.kind {
            Kind::OpenList => {
                let mut items = Vec::new();
                loop {
                    let item = self.take("a value or `]`")?;
                    if item.kind == Kind::CloseList {
                        break;
                    }
                    if matches!(&item.kind, Kind::Word(word) if word.eq_ignore_ascii_case("null")) {
                        let help = "add `-or … -eq null`";
                        return Err(error(item.offset, item.len, "null cannot be in a list", help));
                    }
                    items.push(value(&item).ok_or_else(|| {
                        error(item.offset, item.len, "expected a value", "put text into double quotes")
                    })?);
                    let after = self.take("`,` or `]`")?;
                    match after.kind {
                        Kind::Comma => {}
                        Kind::CloseList => break,
                        Kind::Open
                        | Kind::Close
                        | Kind::OpenList
                        | Kind::Word(_)
                        | Kind::Operator(_)
                        | Kind::Text(_) => {
                            return Err(error(
                                after.offset,
                                after.len,
                                "expected `,` or `]`",
                                "separate values with commas",
                            ));
                        }
                    }
                }
                Operand::List(items)
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("null") => Operand::Null,
            _ => Operand::Text(value(&first).ok_or_else(|| {
                error(first.offset, first.len, "expected a value", "put text into double quotes")
            })?),
        };
        match (operator.test, &operand) {
            (Test::In, Operand::List(_)) | (Test::Equals, Operand::Null) => Ok(operand),
            (Test::In, Operand::Null | Operand::Text(_)) => {
                Err(error(first.offset, first.len, "`-in` wants a list", "write [\"one\", \"two\"]"))
            }
            (_, Operand::List(_)) => Err(error(
                first.offset,
                first.len,
                "only `-in` and `-notIn` take a list",
                "use `-in`, or one value",
            )),
            (_, Operand::Null) => Err(error(
                sign.offset,
                sign.len,
                "null can only be compared with `-eq` and `-ne`",
                "use `-eq null`",
            )),
            (_, Operand::Text(_)) => Ok(operand),
        }
    }
}

fn unknown(name: &Token, word: &str) -> RuleError {
    let help = if word.to_ascii_lowercase().starts_with("device.") {
        "device attributes are deviceId, displayName, deviceOwnership, enrollmentProfileName, isCompliant, manufacturer, mdmAppId, model, operatingSystem, operatingSystemVersion, physicalIds, profileType, systemLabels, trustType, extensionAttribute1 to 15"
    } else {
        "attributes begin with `device.`, `user.`, `app.` or `request.` (method, path)"
    };
    error(name.offset, name.len, format!("no attribute `{word}`"), help)
}

fn attribute(word: &str) -> Option<Attribute> {
    let (space, name) = word.split_once('.')?;
    if name.is_empty() {
        return None;
    }
    match space.to_ascii_lowercase().as_str() {
        "device" => DeviceAttribute::from_name(name).map(Attribute::Device),
        "user" => Some(Attribute::User(folded(name).into())),
        "app" => Some(Attribute::App(folded(name).into())),
        "request" if name.eq_ignore_ascii_case("method") => Some(Attribute::Method),
        "request" if name.eq_ignore_ascii_case("path") => Some(Attribute::Path),
        _ => None,
    }
}

fn operator(word: &str) -> Option<Operator> {
    let (test, negated) = match word.to_ascii_lowercase().as_str() {
        "eq" => (Test::Equals, false),
        "ne" => (Test::Equals, true),
        "startswith" => (Test::StartsWith, false),
        "notstartswith" => (Test::StartsWith, true),
        "endswith" => (Test::EndsWith, false),
        "notendswith" => (Test::EndsWith, true),
        "contains" => (Test::Contains, false),
        "notcontains" => (Test::Contains, true),
        "in" => (Test::In, false),
        "notin" => (Test::In, true),
        "lt" => (Test::Less, false),
        "le" => (Test::LessOrEqual, false),
        "gt" => (Test::Greater, false),
        "ge" => (Test::GreaterOrEqual, false),
        _ => return None,
    };
    Some(Operator { test, negated })
}
