//! OpenID providers: who signs people in, and how we show that it is us who ask.

use super::authorities::authorities;
use super::context::Context;
use super::names::Names;
use super::secrets::{self, SigningUse};
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::shortened;
use crate::schema::sign_in_tables::PRIVATE_KEY;
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{
    ClientAuthentication, Issuer, KeySource, Provider, PushedAuthorization, SecretMethod, SigningKey,
    is_provider_name,
};

/// Parameters of authorization requests that we set, or that would change what comes back. Sources: OpenID Connect
/// Core 1.0, sections 3.1.2.1 and 6; RFC 7636; RFC 9101; RFC 9126; RFC 9396; RFC 9449; OAuth 2.0 Multiple Response
/// Type Encoding Practices.
const RESERVED: [&str; 25] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "request",
    "request_uri",
    "registration",
    "prompt",
    "max_age",
    "acr_values",
    "claims",
    "id_token_hint",
    "iss",
    "dpop_jkt",
];

const PARAMETER_BYTES_MAX: usize = 512;

const SIGNING: SigningUse = SigningUse {
    code: "provider/private-key",
    why: "the provider would refuse every assertion, and nobody could sign in",
};

pub(super) fn provider(
    cx: &mut Context<'_>,
    view: View<'_>,
    issuers: &[Issuer],
    issuer_names: &Names,
    names: &mut Names,
) -> Option<Provider> {
    if let Some(text) = view.text("name") {
        names.define(cx, "provider", text, view.at_key("name"));
    }
    let name = cx.parse_key(view, "name", name);
    let display_name = cx.parse_key(view, "display-name", line);
    let client_id = cx.parse_key(view, "client-id", line);
    let issuer = issuer(cx, view, issuers, issuer_names);
    let client_authentication = client_authentication(cx, view);
    let scopes = scopes(cx, view);
    let parameters = parameters(cx, view);
    // The same servers, as a rule.
    let of_issuer = issuer.and_then(|issuer| issuers.get(issuer)?.ca.clone());
    let ca = if view.get("ca").is_some() { authorities(cx, view, "ca") } else { of_issuer };
    let name = name?;
    Some(Provider {
        display_name: display_name.unwrap_or_else(|| name.clone()),
        name,
        issuer: issuer?,
        client_id: client_id?,
        client_authentication: client_authentication?,
        scopes,
        parameters,
        pushed_authorization: view.word("pushed-authorization", PushedAuthorization::from_word)?,
        userinfo: view.is_on("userinfo"),
        ca,
    })
}

/// A name that stands in paths.
fn name(text: &str) -> Result<String, Flaw> {
    if !is_provider_name(text) {
        return Err(Flaw::new(
            "provider/name",
            format!("`{}` cannot be the name of a provider", shortened(text)),
        )
        .why("it stands in the redirect URI, `/.portcullis/callback/NAME`")
        .help("write at most 32 of `a-z`, `0-9` and `-`; `display-name` is what people read"));
    }
    Ok(text.to_owned())
}

/// A text on one line.
fn line(text: &str) -> Result<String, Flaw> {
    if text.trim() != text
        || text.is_empty()
        || text.chars().count() > 255
        || text.chars().any(char::is_control)
    {
        return Err(Flaw::new(
            "value/empty",
            "this is empty, has blanks at its ends, or is longer than 255 characters",
        )
        .help("write it on one line, without blanks at its ends"));
    }
    Ok(text.to_owned())
}

/// Whose ID tokens they are, and whether the provider's endpoints can be found.
fn issuer(cx: &mut Context<'_>, view: View<'_>, issuers: &[Issuer], names: &Names) -> Option<usize> {
    let (text, at) = (view.text("issuer")?, view.at_key("issuer"));
    let Some(position) = issuers.iter().position(|issuer| issuer.name == text) else {
        // An issuer with problems of its own was reported already.
        if !names.contains(text) {
            let why = "nothing would say with which keys its ID tokens are verified";
            names.unknown(cx, "issuer/unknown", "issuer", text, at, why);
        }
        return None;
    };
    let issuer = issuers.get(position)?;
    let is_found =
        matches!(issuer.keys, KeySource::Discovery(_)) || values::secure_url(&issuer.issuer).is_ok();
    if !is_found {
        let what = format!("issuer `{}` has no metadata that could be found", shortened(text));
        cx.push(
            Diagnostic::error("provider/metadata", at, what)
                .why("the provider's endpoints stand in its metadata, at `ISSUER/.well-known/openid-configuration`")
                .help("write `keys = { discovery = \"https://…/.well-known/openid-configuration\" }` in the issuer"),
        );
    }
    Some(position)
}

fn client_authentication(cx: &mut Context<'_>, view: View<'_>) -> Option<ClientAuthentication> {
    const CODE: &str = "provider/client";
    let (secret, key) = (view.get("client-secret"), view.get("private-key"));
    let is_public = view.is_on("public-client");
    let (what, at) = match (secret, key, is_public) {
        (Some(_), None, false) => return client_secret(cx, view),
        (None, Some(node), false) => return private_keys(cx, node).map(ClientAuthentication::PrivateKey),
        (None, None, true) => return Some(ClientAuthentication::Public),
        (Some(node), Some(_), _) => ("a client secret and a private key", node.at),
        (Some(node), None, true) | (None, Some(node), true) => {
            ("a public client has a secret or a key", node.at)
        }
        (None, None, false) => ("neither a client secret nor a private key", view.at()),
    };
    cx.push(
        Diagnostic::error(CODE, at, what)
            .why("it must be clear how the provider knows that it is Portcullis who asks")
            .help("write one of `client-secret = { file = \"…\" }`, `private-key = { file = \"…\" }`, or `public-client = true`"),
    );
    None
}

fn client_secret(cx: &mut Context<'_>, view: View<'_>) -> Option<ClientAuthentication> {
    const CODE: &str = "provider/secret";
    let secret = secrets::secret(cx, view, "client-secret", CODE)?;
    if let Some(weakness) = secrets::guessable(&secret) {
        cx.push(
            Diagnostic::error(
                CODE,
                view.at_key("client-secret"),
                format!("this secret can be guessed: {weakness}"),
            )
            .why("whoever has it can take our place at the provider")
            .help("let the provider make one, and put it alone into the file"),
        );
        return None;
    }
    let method = view.word("client-secret-method", SecretMethod::from_word)?;
    Some(ClientAuthentication::Secret { secret, method })
}

/// One key, or several. `None` when one of them is refused: which of them signs must not depend on that.
fn private_keys(cx: &mut Context<'_>, node: &Node) -> Option<Vec<SigningKey>> {
    let nodes = match &node.kind {
        Kind::List(items) if items.is_empty() => {
            cx.push(
                Diagnostic::error("value/empty", node.at, "`private-key` is empty")
                    .why("no assertion could be signed")
                    .help("name a key: `private-key = { file = \"…\", algorithm = \"ES256\" }`"),
            );
            return None;
        }
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut keys: Vec<SigningKey> = Vec::new();
    for node in nodes {
        let view = View::new(&PRIVATE_KEY, node);
        let file = view.text("file").map(|text| (text, view.at_key("file")));
        let algorithm = view.text("algorithm")?;
        let mut key = secrets::signing_key(cx, file?, algorithm, &SIGNING)?;
        key.kid = match view.get("kid") {
            Some(_) => Some(cx.parse_key(view, "kid", line)?),
            None => None,
        };
        if view.get("certificate").is_some() {
            key.thumbprint = Some(secrets::thumbprint(cx, view, &key, &SIGNING)?);
        }
        if keys.iter().any(|known| known.pem == key.pem) {
            cx.push(
                Diagnostic::error(SIGNING.code, view.at_key("file"), "this key is in the list already")
                    .help("name each key once; the first signs"),
            );
        }
        keys.push(key);
    }
    Some(keys)
}

fn scopes(cx: &mut Context<'_>, view: View<'_>) -> Vec<String> {
    const CODE: &str = "provider/scopes";
    let mut scopes: Vec<String> = Vec::new();
    for (text, at) in view.texts("scopes") {
        // RFC 6749, section 3.3.
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if text.is_empty() || !text.bytes().all(fits) {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{}` is no scope", shortened(text)))
                    .help("write each scope as a string of its own, without blanks, quotes or backslashes"),
            );
        } else if !scopes.iter().any(|known| known == text) {
            scopes.push(text.to_owned());
        }
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        cx.push(
            Diagnostic::error(CODE, view.at_key("scopes"), "`scopes` is without `openid`")
                .why("the provider would give no ID token, and nobody could sign in")
                .help("add `\"openid\"`"),
        );
    }
    scopes
}

fn parameters(cx: &mut Context<'_>, view: View<'_>) -> Vec<(String, String)> {
    const CODE: &str = "provider/parameter";
    let mut parameters: Vec<(String, String)> = Vec::new();
    for entry in view.get("parameters").map_or(&[][..], Node::entries) {
        let Some(value) = entry.value.text() else { continue };
        let flaw = |at: At, what: String| Diagnostic::error(CODE, at, what);
        if RESERVED.contains(&entry.key.to_ascii_lowercase().as_str()) {
            cx.push(
                flaw(entry.at, format!("`{}` is set by Portcullis", shortened(&entry.key)))
                    .why("a sign-in is only safe with the value that it computes for this attempt")
                    .help("take it away; what a policy demands becomes `max_age`, `acr_values`, `claims` and `prompt` by itself"),
            );
        } else if !values::is_token(&entry.key)
            || value.len() > PARAMETER_BYTES_MAX
            || value.chars().any(char::is_control)
        {
            cx.push(
                flaw(entry.value.at, format!("parameter `{}` cannot be sent", shortened(&entry.key))).help(
                    "write a name such as `domain_hint`, and a value of one line with at most 512 bytes",
                ),
            );
        } else {
            parameters.push((entry.key.clone(), value.to_owned()));
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_name_fits_a_path_and_a_metric() {
        for good in ["entra", "okta-2", "a", &"x".repeat(32)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "Entra", "a/b", "a b", "é", "..", &"x".repeat(33)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
