//! What an issuer says of itself (OpenID Connect Discovery 1.0, section 3): the one reading of that document, for keys and for
//! signing in alike.

use reqwest::Url;
use serde_json::{Map, Value};

use super::address::permitted;
use super::strict::{StrictObject, without_bom};

/// Why a discovery document is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiscoveryError {
    /// It is malformed, or lacks what is needed.
    Malformed,
    /// It is about another issuer.
    OtherIssuer,
    /// An address in it is neither https nor, for a document that came from this machine, http on loopback.
    Insecure,
}

/// A discovery document that is about the issuer that was asked.
#[derive(Debug)]
pub(crate) struct Discovery(Map<String, Value>);

impl Discovery {
    /// Reads a document about exactly this issuer: the names are compared byte by byte (section 4.3).
    pub(super) fn read(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let StrictObject(members) =
            serde_json::from_slice(without_bom(document)).map_err(|_| DiscoveryError::Malformed)?;
        let named = members.get("issuer").and_then(Value::as_str).ok_or(DiscoveryError::Malformed)?;
        if named != issuer {
            return Err(DiscoveryError::OtherIssuer);
        }
        Ok(Self(members))
    }

    /// The address under this name; `None` where there is none.
    ///
    /// # Errors
    /// When it is no text, or no address that we may speak to.
    pub(crate) fn url(&self, name: &str, is_local: bool) -> Result<Option<Url>, DiscoveryError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                permitted(text, is_local).map(Some).map_err(|_| DiscoveryError::Insecure)
            }
            Some(_) => Err(DiscoveryError::Malformed),
        }
    }

    /// Whether this name is `true`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// The texts of the list under this name; `None` where there is no such list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.0.get(name)?.as_array()?.iter().map(Value::as_str).collect()
    }
}

/// The issuer that a discovery document names.
pub(super) fn issuer_of(document: &[u8]) -> Option<String> {
    let StrictObject(members) = serde_json::from_slice(document).ok()?;
    members.get("issuer").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_about_another_issuer_is_refused() {
        let read = |text: &str| {
            let document = Discovery::read(text.as_bytes(), "https://id.example")?;
            document.url("jwks_uri", false)?.map(String::from).ok_or(DiscoveryError::Malformed)
        };
        let url = || Ok("https://id.example/keys".to_owned());
        assert_eq!(read(r#"{"issuer":"https://id.example","jwks_uri":"https://id.example/keys"}"#), url());
        assert_eq!(
            read("\u{feff}{\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/keys\"}"),
            url()
        );
        for (text, problem) in [
            (r#"{"issuer":"https://id.example/","jwks_uri":"https://u"}"#, DiscoveryError::OtherIssuer),
            (r#"{"issuer":["https://id.example"],"jwks_uri":"https://u"}"#, DiscoveryError::Malformed),
            (r#"{"jwks_uri":"https://u"}"#, DiscoveryError::Malformed),
            (r#"{"issuer":"https://id.example"}"#, DiscoveryError::Malformed),
            (r#"{"issuer":"https://id.example","jwks_uri":["https://u"]}"#, DiscoveryError::Malformed),
            (r#"{"issuer":"https://id.example","jwks_uri":"http://127.0.0.1/k"}"#, DiscoveryError::Insecure),
            (r#"{"issuer":"x","issuer":"https://id.example"}"#, DiscoveryError::Malformed),
        ] {
            assert_eq!(read(text), Err(problem), "{text}");
        }
    }
}
