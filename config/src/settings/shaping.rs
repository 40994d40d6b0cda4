//! What is changed of an app's requests and answers on their way.

use std::time::Duration;

use super::secret::Secret;

/// What is changed of an app's requests and answers on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shaping {
    /// What the app receives in place of its own path, in normal form; `/` takes that away. `None`: the path as it was
    /// asked for.
    pub prefix_rewrite: Option<String>,
    /// The host that the app is asked for.
    pub upstream_host: UpstreamHost,
    /// What is answered instead of by servers.
    pub own_answer: Option<OwnAnswer>,
    /// How long clients are asked to wait while the app is being worked at; `None`: it is not.
    pub maintenance: Option<Duration>,
    /// Fields of requests.
    pub request: FieldChanges,
    /// Fields of the app's answers.
    pub response: FieldChanges,
}

/// What an app without servers answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnAnswer {
    /// Another place.
    Redirect {
        /// An absolute URL; with `keep_path` without a slash at its end.
        to: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Whether the path that the app would see follows.
        keep_path: bool,
        /// Whether the query follows.
        keep_query: bool,
    },
    /// Always the same.
    Fixed {
        /// The status.
        status: u16,
        /// The type of the body.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// The host that an app is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The one that the client asked for.
    #[default]
    Keep,
    /// The server's own.
    Upstream,
    /// This one, lower case, perhaps with a port.
    Name(String),
}

/// Fields that are set and taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Names and values: in place of whatever was sent under the name.
    pub set: Vec<(String, FieldValue)>,
    /// Names.
    pub remove: Vec<String>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// As it is written.
    Text(String),
    /// What a file holds.
    Secret(Secret),
}

impl FieldValue {
    /// The value, and whether it is a secret.
    #[must_use]
    pub fn text(&self) -> (&str, bool) {
        match self {
            Self::Text(text) => (text, false),
            Self::Secret(secret) => (secret.expose(), true),
        }
    }
}
