//! Which operators an attribute allows, and with which values: Entra's table for devices. A comparison
//! that could never hold is a mistake, and is reported at load.

use alloc::format;
use alloc::string::String;

use super::tree::{Attribute, Operand, Operator, Reach, Test};
use crate::value::DeviceAttribute;

/// What an attribute holds, as far as it is known before any request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    /// Text that may be a version or a number.
    Version,
    /// One of a few words, or an id: compared whole or not at all.
    Word,
    Boolean,
    Collection,
    /// A claim or an attribute of an app: anything.
    Anything,
}

const fn holds(attribute: &Attribute) -> Holds {
    match attribute {
        Attribute::User(_) | Attribute::App(_) => Holds::Anything,
        Attribute::Method => Holds::Word,
        Attribute::Path => Holds::Text,
        Attribute::Device(attribute) => match attribute {
            DeviceAttribute::IsCompliant => Holds::Boolean,
            DeviceAttribute::PhysicalIds | DeviceAttribute::SystemLabels => Holds::Collection,
            DeviceAttribute::DeviceId
            | DeviceAttribute::MdmAppId
            | DeviceAttribute::DeviceOwnership
            | DeviceAttribute::ProfileType
            | DeviceAttribute::TrustType => Holds::Word,
            DeviceAttribute::OperatingSystemVersion | DeviceAttribute::Extension(_) => Holds::Version,
            DeviceAttribute::DisplayName
            | DeviceAttribute::EnrollmentProfileName
            | DeviceAttribute::Manufacturer
            | DeviceAttribute::Model
            | DeviceAttribute::OperatingSystem => Holds::Text,
        },
    }
}

/// The words that an attribute can hold, where Entra knows no others (documentation: "Filter for devices as a
/// condition in Conditional Access policy").
const fn words(attribute: &Attribute) -> Option<(&'static [&'static str], &'static str)> {
    match attribute {
        Attribute::Device(DeviceAttribute::DeviceOwnership) => {
            Some((&["company", "personal"], "it is Company or Personal"))
        }
        Attribute::Device(DeviceAttribute::TrustType) => Some((
            &["azuread", "serverad", "workplace"],
            "it is AzureAD (joined), ServerAD (hybrid joined) or Workplace (registered)",
        )),
        _ => None,
    }
}

/// Where a comparison is wrong.
pub(super) enum Wrong {
    /// The operator does not fit the attribute.
    Operator(&'static str),
    /// The value does not fit; what is wrong, and the mend.
    Value(String, &'static str),
}

/// Whether the comparison makes sense.
pub(super) fn check(
    attribute: &Attribute,
    reach: Reach,
    operator: Operator,
    operand: &Operand,
) -> Result<(), Wrong> {
    let holds = holds(attribute);
    if reach == Reach::Whole && *operand == Operand::Null {
        return Ok(());
    }
    let holds = match (reach, holds) {
        (Reach::Whole, holds) => holds,
        (Reach::Any | Reach::All, Holds::Collection | Holds::Anything) => Holds::Anything,
        (Reach::Any | Reach::All, Holds::Text | Holds::Version | Holds::Word | Holds::Boolean) => {
            return Err(Wrong::Operator(
                "`-any` and `-all` ask the elements of `physicalIds`, `systemLabels`, `user.` and `app.`",
            ));
        }
    };
    match holds {
        Holds::Anything | Holds::Version => {}
        Holds::Text if is_ordering(operator.test) => {
            return Err(Wrong::Operator(
                "`-lt`, `-le`, `-gt` and `-ge` compare versions and numbers: `operatingSystemVersion`, extension attributes, `user.`, `app.`",
            ));
        }
        Holds::Text => {}
        Holds::Word if matches!(operator.test, Test::Equals | Test::In) => {}
        Holds::Word => {
            return Err(Wrong::Operator("it is compared whole: use `-eq`, `-ne`, `-in` or `-notIn`"));
        }
        Holds::Boolean if operator.test == Test::Equals => {}
        Holds::Boolean => return Err(Wrong::Operator("it is True or False: use `-eq` or `-ne`")),
        Holds::Collection if operator.test == Test::Contains => {}
        Holds::Collection => {
            return Err(Wrong::Operator(
                "it is a collection: use `-contains`, `-notContains`, or `-any (_ -startsWith \"…\")`",
            ));
        }
    }
    match operand {
        Operand::Text(value) if holds == Holds::Boolean && !matches!(&**value, "true" | "false") => {
            Err(Wrong::Value(format!("`{value}` is neither True nor False"), "write True or False"))
        }
        Operand::Text(value) if is_ordering(operator.test) && !is_version(value) => Err(Wrong::Value(
            format!("`{value}` is no version and no number"),
            "write numbers with dots between, such as 10.0.22631",
        )),
        Operand::Text(value) if value.is_empty() && is_of_part(operator.test) => Err(Wrong::Value(
            String::from("an empty text is a part of every text"),
            "write the part that is meant, or compare with `null`",
        )),
        Operand::Text(_) | Operand::List(_) if unknown_word(attribute, operand).is_some() => {
            let value = unknown_word(attribute, operand).unwrap_or_default();
            let help = words(attribute).map_or("", |(_, help)| help);
            Err(Wrong::Value(format!("no device has `{value}` there"), help))
        }
        Operand::List(values) if values.is_empty() => {
            Err(Wrong::Value(String::from("the list is empty"), "write [\"one\", \"two\"]"))
        }
        Operand::Text(_) | Operand::List(_) | Operand::Null => Ok(()),
    }
}

const fn is_ordering(test: Test) -> bool {
    matches!(test, Test::Less | Test::LessOrEqual | Test::Greater | Test::GreaterOrEqual)
}

fn is_version(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(f64::is_finite) || value.split('.').all(|part| part.parse::<u64>().is_ok())
}

/// Whether a part of a text is looked for.
const fn is_of_part(test: Test) -> bool {
    matches!(test, Test::StartsWith | Test::EndsWith | Test::Contains)
}

/// The first value that the attribute can never have.
fn unknown_word<'o>(attribute: &Attribute, operand: &'o Operand) -> Option<&'o str> {
    let (known, _) = words(attribute)?;
    let is_unknown = |value: &&str| !known.iter().any(|word| word.eq_ignore_ascii_case(value));
    match operand {
        Operand::Null => None,
        Operand::Text(value) => Some(&**value).filter(is_unknown),
        Operand::List(values) => values.iter().map(|value| &**value).find(is_unknown),
    }
}
