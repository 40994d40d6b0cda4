//! The keys of signing in: providers, sessions, what apps are told, and proxies that ask.

use super::{DURATION, Form, Literal, Shape, TEXT, TEXTS, Table, default, optional, required};
use crate::settings::{ForwardAuthProtocol, PushedAuthorization, SecretMethod};

const FILES: Shape = Shape::List(&Shape::Text(Form::Path));

pub(crate) static PROVIDER: Table = Table {
    title: "[[provider]]",
    keys: &[
        required("name", TEXT, "Short name in paths, metrics and logs: at most 32 of `a-z`, `0-9` and `-`."),
        optional("display-name", TEXT, "Its name for people; the name if absent."),
        required(
            "issuer",
            TEXT,
            "Name of the `[[issuer]]` whose keys, algorithms and claims its ID tokens have.",
        ),
        required("client-id", TEXT, "The id under which Portcullis is registered there."),
        optional(
            "client-secret",
            Shape::Table(&SECRET),
            "What proves that it is Portcullis who asks; or `private-key`.",
        ),
        default(
            "client-secret-method",
            Literal::Text("basic"),
            Shape::Word(&SecretMethod::WORDS),
            "Where the secret stands: in `Authorization: Basic`, or in the form.",
        ),
        optional(
            "private-key",
            Shape::Either(&[Shape::Table(&PRIVATE_KEY), Shape::List(&Shape::Table(&PRIVATE_KEY))]),
            "A key, or several of which the first signs, in place of a secret (`private_key_jwt`).",
        ),
        default(
            "public-client",
            Literal::Bool(false),
            Shape::Bool,
            "Whether Portcullis is registered without any secret or key.",
        ),
        default("scopes", Literal::Texts(&["openid", "profile", "email"]), TEXTS, "What a sign-in asks for."),
        optional(
            "parameters",
            Shape::Map(&TEXT),
            "Further parameters of authorization requests, such as `domain_hint`; none that Portcullis sets.",
        ),
        default(
            "pushed-authorization",
            Literal::Text("auto"),
            Shape::Word(&PushedAuthorization::WORDS),
            "Whether authorization requests are pushed (RFC 9126): where offered, always, or only on demand.",
        ),
        default(
            "userinfo",
            Literal::Bool(false),
            Shape::Bool,
            "Whether claims of the userinfo endpoint are added to those of the ID token.",
        ),
        optional(
            "ca",
            Shape::Text(Form::Path),
            "A PEM file with the authorities that its certificate must come from; the issuer's if absent, or else the system's.",
        ),
    ],
};

pub(crate) static SECRET: Table = Table {
    title: "a secret",
    keys: &[required("file", Shape::Text(Form::Path), "The file that holds it, and nothing else.")],
};

pub(crate) static PRIVATE_KEY: Table = Table {
    title: "private-key",
    keys: &[
        required("file", Shape::Text(Form::Path), "The key, PKCS#8 in PEM."),
        default(
            "algorithm",
            Literal::Text("ES256"),
            Shape::Word(&["ES256", "PS256"]),
            "`ES256` for a key on P-256, `PS256` for RSA of at least 2048 bits.",
        ),
        optional("kid", TEXT, "The key id that the provider knows it by."),
        optional(
            "certificate",
            Shape::Text(Form::Path),
            "Its certificate in PEM, where the provider knows the key by that (`x5t#S256`), as Entra does.",
        ),
    ],
};

pub(crate) static SESSION: Table = Table {
    title: "[session]",
    keys: &[
        required(
            "keys",
            FILES,
            "Files with 32 random bytes, raw, in base64 or hexadecimal, that seal sessions, the same for all replicas: the first seals, each opens.",
        ),
        default(
            "store",
            Literal::Text("cookie"),
            Shape::Either(&[Shape::Word(&["cookie"]), Shape::Table(&STORE)]),
            "Where sessions are: sealed in the cookie, in a database file, or in Redis or Valkey.",
        ),
        default("idle", Literal::Text("1h"), DURATION, "A session ends after so long without a request."),
        default("absolute", Literal::Text("12h"), DURATION, "A session ends so long after its sign-in."),
        default(
            "stale-max",
            Literal::Text("5m"),
            DURATION,
            "How long remembered sessions serve while the store does not answer; at most 1h.",
        ),
        optional(
            "journal",
            Shape::Text(Form::Path),
            "With the cookie store: the file where sign-outs outlive a restart; they do not if absent.",
        ),
        default(
            "refresh",
            Literal::Bool(false),
            Shape::Bool,
            "Whether sessions are refreshed before their access token ends; not with the cookie store.",
        ),
    ],
};

pub(crate) static STORE: Table = Table {
    title: "store",
    keys: &[
        optional("redb", Shape::Text(Form::Path), "A database file of this machine."),
        optional(
            "redis",
            Shape::Text(Form::Url),
            "`rediss://host:port/database`, `redis://` on this machine, or `unix:///socket`; without a password.",
        ),
        optional("password", Shape::Table(&SECRET), "The password of `redis`."),
        optional(
            "ca",
            Shape::Text(Form::Path),
            "A PEM file with the authorities that the certificate of `redis` must come from; the system's if absent.",
        ),
    ],
};

pub(crate) static SIGN_IN: Table = Table {
    title: "[sign-in]",
    keys: &[required(
        "host",
        Shape::Text(Form::Host),
        "One host, which is no app's, at which browsers sign in for all apps: one redirect URI for each provider.",
    )],
};

pub(crate) static ASSERTION: Table = Table {
    title: "[assertion]",
    keys: &[
        required(
            "keys",
            FILES,
            "EC keys on P-256, PKCS#8 in PEM: the first signs, all are published at `/.portcullis/keys`.",
        ),
        default("header", Literal::Text("x-portcullis-assertion"), TEXT, "The header that carries it."),
        default("life", Literal::Text("2m"), DURATION, "For how long it is valid; 30s to 10m."),
    ],
};

pub(crate) static FORWARD_AUTH: Table = Table {
    title: "forward-auth",
    keys: &[
        required(
            "protocol",
            Shape::Word(&ForwardAuthProtocol::WORDS),
            "How the proxy in front asks: nginx, Caddy and Traefik, or Envoy over HTTP or gRPC.",
        ),
        required("peers", Shape::List(&Shape::Text(Form::Network)), "Networks of the proxies that ask."),
    ],
};
