//! What a provider says of itself, held against what is configured: each difference would end sign-ins later, one by one
//! (OpenID Connect Discovery 1.0, section 3; RFC 7636, RFC 8414, RFC 9126, RFC 9207; Back-Channel Logout 1.0).

use portcullis_config::diagnose::Severity;
use portcullis_config::settings::{
    ClientAuthentication, Issuer, KeySource, Provider, PushedAuthorization, SecretMethod,
};

use super::answer::Answer;
use crate::token::{Discovered, Fetcher};

const CODE: &str = "online/provider";
const ENDS: &str = "nobody could sign in there";

/// Asks a provider for its metadata, and holds them against its settings.
pub(super) async fn ask_provider(provider: &Provider, issuer: &Issuer) -> Vec<Answer> {
    let base = match &issuer.keys {
        KeySource::Discovery(base) => base,
        KeySource::File(_) | KeySource::Url(_) => &issuer.issuer,
    };
    let mut fetcher = Fetcher::new(issuer.issuer.clone(), provider.ca.clone());
    match fetcher.discover(base).await {
        Ok(found) => Found { provider, issuer, found: &found }.answers(),
        // What keeps its keys away was reported with the issuer.
        Err(_) if matches!(issuer.keys, KeySource::Discovery(_)) => Vec::new(),
        Err(problem) => {
            let at = fetcher.asked.unwrap_or_default();
            let what = format!("the metadata of provider `{}`, `{at}`: {problem}", provider.name);
            let help = "look at `ISSUER/.well-known/openid-configuration` from this machine, or name the document by `keys = { discovery = … }` in the issuer";
            vec![Answer::bad(&provider.client_id, CODE, what, ENDS, help)]
        }
    }
}

struct Found<'f> {
    provider: &'f Provider,
    issuer: &'f Issuer,
    found: &'f Discovered,
}

/// A difference: severity, what it is, what follows, how to mend it.
type Difference = (Severity, String, &'static str, String);

impl Found<'_> {
    fn answers(&self) -> Vec<Answer> {
        let differences: Vec<Difference> =
            [self.endpoints(), self.flow(), self.client(), self.tokens()].concat();
        let is_good = differences.iter().all(|(severity, ..)| *severity == Severity::Warning);
        let name = &self.provider.name;
        let problem = |(severity, what, why, help): Difference| {
            Answer::of(
                &self.provider.client_id,
                severity,
                CODE,
                format!("provider `{name}` {what}"),
                why,
                help,
            )
        };
        let mut answers: Vec<Answer> = differences.into_iter().map(problem).collect();
        if is_good {
            // Only a sign-in of a person shows that.
            let untried = match &self.provider.client_authentication {
                ClientAuthentication::Secret { .. } => "; whether it takes the client secret was not tried",
                ClientAuthentication::PrivateKey(_) => "; whether it takes the private key was not tried",
                ClientAuthentication::Public => "",
            };
            let line = format!("provider `{name}`: {}{untried}", self.abilities().join(", "));
            answers.insert(0, Answer::good(&self.provider.client_id, line));
        }
        answers
    }

    /// Whether a list that the provider states lacks this. What it does not state is not held against it.
    fn lacks(&self, list: &str, wanted: &str) -> bool {
        self.found.document.list(list).is_some_and(|stated| !stated.contains(&wanted))
    }

    fn has(&self, name: &str) -> bool {
        self.found.document.url(name, self.found.is_local).is_ok_and(|url| url.is_some())
    }

    fn endpoints(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut missing = |severity, name: &str, why, help: &str| {
            let what = match self.found.document.url(name, self.found.is_local) {
                Ok(Some(_)) => return,
                Ok(None) => format!("states no `{name}`"),
                Err(_) => format!("states a `{name}` that is not https"),
            };
            differences.push((severity, what, why, help.to_owned()));
        };
        for name in ["authorization_endpoint", "token_endpoint"] {
            missing(
                Severity::Error,
                name,
                ENDS,
                "is this the metadata of an OpenID provider, and not of an authorization server for programs?",
            );
        }
        if self.provider.userinfo {
            let help = "take `userinfo = true` away; claims then come from the ID token alone";
            missing(Severity::Error, "userinfo_endpoint", ENDS, help);
        }
        if self.provider.pushed_authorization == PushedAuthorization::Required {
            let help = "write `pushed-authorization = \"auto\"`, or switch it on at the provider";
            missing(Severity::Error, "pushed_authorization_request_endpoint", ENDS, help);
        }
        let why = "who signs out of Portcullis stays signed in there, and is let in again without a question";
        missing(
            Severity::Warning,
            "end_session_endpoint",
            why,
            "switch on RP-initiated logout at the provider, if it has it",
        );
        differences
    }

    fn flow(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (list, wanted, help) in [
            ("response_types_supported", "code", "allow the authorization code flow at the provider"),
            ("response_modes_supported", "query", "allow answers in the query at the provider"),
            (
                "grant_types_supported",
                "authorization_code",
                "allow the authorization code flow at the provider",
            ),
            (
                "code_challenge_methods_supported",
                "S256",
                "allow PKCE with S256 at the provider (RFC 7636); no sign-in goes without",
            ),
        ] {
            if self.lacks(list, wanted) {
                differences.push((
                    Severity::Error,
                    format!("does not state `{wanted}` in `{list}`"),
                    ENDS,
                    help.to_owned(),
                ));
            }
        }
        for scope in self.provider.scopes.iter().filter(|scope| self.lacks("scopes_supported", scope)) {
            let what = format!("does not state the scope `{scope}`");
            let why = "it may refuse the sign-in, or leave out what the scope would bring";
            differences.push((
                Severity::Warning,
                what,
                why,
                "add the scope to the client at the provider, or take it out of `scopes`".to_owned(),
            ));
        }
        differences
    }

    fn client(&self) -> Vec<Difference> {
        let method = match &self.provider.client_authentication {
            ClientAuthentication::Secret { method: SecretMethod::Basic, .. } => "client_secret_basic",
            ClientAuthentication::Secret { method: SecretMethod::Post, .. } => "client_secret_post",
            ClientAuthentication::PrivateKey(_) => "private_key_jwt",
            ClientAuthentication::Public => "none",
        };
        let mut differences = Vec::new();
        if self.lacks("token_endpoint_auth_methods_supported", method) {
            let stated =
                self.found.document.list("token_endpoint_auth_methods_supported").unwrap_or_default();
            // Some providers serve public clients and do not say so.
            let severity = if method == "none" { Severity::Warning } else { Severity::Error };
            let what = format!("does not take `{method}` from clients");
            let stated = stated.iter().map(|method| shown(method)).collect::<Vec<_>>().join(", ");
            differences.push((severity, what, ENDS, format!("it takes {stated}: choose `client-secret-method`, `private-key` or `public-client` by that")));
        }
        if let ClientAuthentication::PrivateKey(keys) = &self.provider.client_authentication
            && let Some(key) = keys.first()
            && self.lacks("token_endpoint_auth_signing_alg_values_supported", &key.algorithm)
        {
            let what = format!("does not take client assertions that are signed with `{}`", key.algorithm);
            differences.push((Severity::Error, what, ENDS, "take a key for an algorithm that it states in `token_endpoint_auth_signing_alg_values_supported`".to_owned()));
        }
        differences
    }

    fn tokens(&self) -> Vec<Difference> {
        let Some(stated) = self.found.document.list("id_token_signing_alg_values_supported") else {
            return Vec::new();
        };
        // RFC 9864 names the same algorithms with their curves.
        let same = |theirs: &str, ours: &str| {
            theirs == ours
                || matches!((theirs, ours), ("Ed25519", "EdDSA") | ("ESP256", "ES256") | ("ESP384", "ES384"))
        };
        let accepted = &self.issuer.algorithms;
        if stated.iter().any(|theirs| accepted.iter().any(|ours| same(theirs, ours))) {
            return Vec::new();
        }
        let what = format!("signs ID tokens with none of {}", accepted.join(", "));
        let stated = stated.iter().map(|theirs| shown(theirs)).collect::<Vec<_>>().join(", ");
        let help =
            format!("it states {stated}: add one of them to `algorithms` of issuer `{}`", self.issuer.name);
        vec![(Severity::Error, what, ENDS, help)]
    }

    /// What it can do that makes a difference, for people.
    fn abilities(&self) -> Vec<String> {
        let document = &self.found.document;
        let pushed = match (
            document.is_set("require_pushed_authorization_requests"),
            self.has("pushed_authorization_request_endpoint"),
        ) {
            (true, _) => "demands pushed authorization",
            (false, true) => "takes pushed authorization",
            (false, false) => "no pushed authorization",
        };
        let pkce = match document.list("code_challenge_methods_supported") {
            Some(_) => "PKCE with S256",
            None => "says nothing of PKCE",
        };
        let iss = match document.is_set("authorization_response_iss_parameter_supported") {
            true => "names itself in answers",
            false => "does not name itself in answers (RFC 9207)",
        };
        let session = document.is_set("backchannel_logout_session_supported");
        let logout = match (document.is_set("backchannel_logout_supported"), session) {
            (true, true) => "back-channel logout of one session",
            (true, false) => "back-channel logout of all sessions of a person",
            (false, _) => "no back-channel logout",
        };
        let front = if document.is_set("frontchannel_logout_supported") {
            "front-channel logout"
        } else {
            "no front-channel logout"
        };
        [pkce, pushed, iss, logout, front].map(str::to_owned).to_vec()
    }
}

/// A word of theirs, fit for a terminal.
fn shown(word: &str) -> String {
    let clean: String = word.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    format!("`{clean}`")
}
