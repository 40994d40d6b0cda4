//! Secrets in files: keys that seal, keys that sign, texts that only two know. What could be guessed is refused, for a
//! session sealed with it could be made by everybody.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::authorities::{CERTIFICATE, FILE_BYTES_MAX, items, unpacked};
use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::file;
use crate::schema::sign_in_tables::SECRET;
use crate::schema::tree::{Node, View};
use crate::settings::{SealKey, Secret, SigningKey};

/// The largest file with a secret, in bytes: a private key of 16,384 bits in PEM takes 13 KB.
const SECRET_BYTES_MAX: u64 = 16 << 10;
const PRIVATE_KEY: &str = "PRIVATE KEY";
/// What RSA keys have at least (RFC 7518, section 3.5), in bytes.
const MODULUS_BYTES_MIN: usize = 2_048 / 8;
/// Fewer different bytes than this among 32 do not come from a random generator: not once in 10^12 keys.
const DIFFERENT_BYTES_MIN: usize = 17;
const TEXT_CHARS_MIN: usize = 16;
/// What makes a first session key, and a folder for it.
pub(super) const MAKES_SEAL_KEY: &str =
    "install -d -m 0700 secrets; (umask 027; openssl rand 32 > secrets/session-1.key)";
/// Fewer different characters than this in a secret were typed, not drawn.
const DIFFERENT_CHARS_MIN: usize = 6;
/// What deploy scripts and documentation write where a secret belongs.
const PLACEHOLDERS: [&str; 8] = [
    "changeme",
    "change-me",
    "change_me",
    "replace",
    "your-client",
    "your_client",
    "client-secret",
    "password",
];

/// A secret text in the file that a `{ file = … }` under this key names. What cannot be read is reported.
pub(super) fn secret(cx: &mut Context<'_>, view: View<'_>, key: &str, code: &'static str) -> Option<Secret> {
    secret_of(cx, view.table(key, &SECRET)?, code)
}

/// The same of such a table.
pub(super) fn secret_of(cx: &mut Context<'_>, table: View<'_>, code: &'static str) -> Option<Secret> {
    let (text, at) = secret_file(cx, table.text("file")?, table.at_key("file"), code)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.chars().any(char::is_control) {
        cx.push(
            Diagnostic::error(code, at, "this file does not hold one line of text")
                .why("the whole file but for the end of its line is the secret")
                .help("write the secret alone into it, without quotes: `printf %s SECRET > FILE`"),
        );
        return None;
    }
    Some(Secret::new(text))
}

/// Why a client secret can be guessed, if it can.
pub(super) fn guessable(secret: &Secret) -> Option<&'static str> {
    let text = secret.expose().to_ascii_lowercase();
    if text.chars().count() < TEXT_CHARS_MIN {
        Some("it has fewer than 16 characters")
    } else if PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder)) {
        Some("it holds the words of a placeholder")
    } else if text.chars().collect::<BTreeSet<_>>().len() < DIFFERENT_CHARS_MIN {
        Some("it repeats a few characters")
    } else {
        None
    }
}

/// A file that only the proxy may read, as text, and the place that names it.
fn secret_file(cx: &mut Context<'_>, name: &str, at: At, code: &'static str) -> Option<(String, At)> {
    let bytes = secret_bytes(cx, name, at, None)?;
    let Ok(text) = String::from_utf8(bytes) else {
        cx.push(
            Diagnostic::error(code, at, "this file holds no text")
                .help("look at what is in it: a secret or a key in PEM is text"),
        );
        return None;
    };
    Some((text, at))
}

fn secret_bytes(cx: &mut Context<'_>, name: &str, at: At, made_by: Option<&str>) -> Option<Vec<u8>> {
    let path = cx.readable_or_made(name, at, made_by)?;
    cx.is_secret(&path);
    match file::read(&path, SECRET_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(problem) => {
            cx.push(
                Diagnostic::error(
                    "file/unreadable",
                    at,
                    format!("cannot read `{}`: {problem}", path.display()),
                )
                .help("look at the path, and at who may read it"),
            );
            None
        }
    }
}

/// Keys of 32 bytes, each in its own file. `None` when one of them is missing or refused: what other replicas sealed
/// with it could not be opened.
pub(super) fn seal_keys(cx: &mut Context<'_>, view: View<'_>) -> Option<Vec<SealKey>> {
    const CODE: &str = "session/key";
    cx.not_empty(view, "keys", "no session could be sealed");
    let mut keys: Vec<SealKey> = Vec::new();
    let mut is_whole = view.items("keys").iter().all(|node| Node::text(node).is_some());
    for (text, at) in view.texts("keys") {
        let key = secret_bytes(cx, text, at, Some(MAKES_SEAL_KEY)).map(|bytes| seal_key(&bytes));
        let what = match key {
            Some(Some(key)) if keys.contains(&key) => "this key is in the list already".to_owned(),
            Some(Some(key)) => match weakness(&key.0) {
                None => {
                    keys.push(key);
                    continue;
                }
                Some(weakness) => format!("this key can be guessed: {weakness}"),
            },
            Some(None) => "this file holds no key of 32 bytes, raw, in base64 or in hexadecimal".to_owned(),
            // It was reported.
            None => {
                is_whole = false;
                continue;
            }
        };
        is_whole = false;
        cx.push(
            Diagnostic::error(CODE, at, what)
                .why("whoever has the key can make a session of anybody")
                .help("make one with `(umask 027; openssl rand 32 > FILE)`, and give each replica the same"),
        );
    }
    (is_whole && !keys.is_empty()).then_some(keys)
}

/// 32 bytes as they are, in hexadecimal, or in base64.
fn seal_key(bytes: &[u8]) -> Option<SealKey> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        return Some(SealKey(raw));
    }
    let text = bytes.trim_ascii();
    let decoded = if text.len() == 64 { hexadecimal(text)? } else { STANDARD.decode(text).ok()? };
    <[u8; 32]>::try_from(decoded).ok().map(SealKey)
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Why these bytes were not drawn at random.
fn weakness(key: &[u8; 32]) -> Option<&'static str> {
    let step = |pair: &[u8]| pair.last().zip(pair.first()).map(|(last, first)| last.wrapping_sub(*first));
    let steps: BTreeSet<_> = key.windows(2).map(step).collect();
    if key.iter().collect::<BTreeSet<_>>().len() < DIFFERENT_BYTES_MIN || steps.len() == 1 {
        Some("its bytes repeat")
    } else if key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        Some("it is text, which people choose and write down")
    } else {
        None
    }
}

/// What a signing key is for, and what is said about it.
pub(super) struct SigningUse {
    pub(super) code: &'static str,
    pub(super) why: &'static str,
}

/// A private key in PEM that fits the algorithm.
pub(super) fn signing_key(
    cx: &mut Context<'_>,
    (name, at): (&str, At),
    algorithm: &str,
    usage: &SigningUse,
) -> Option<SigningKey> {
    let (text, at) = secret_file(cx, name, at, usage.code)?;
    let fitting = pkcs8(&text).and_then(|der| public_key(&der, algorithm).map(drop));
    if let Err((what, help)) = fitting {
        cx.push(Diagnostic::error(usage.code, at, what).why(usage.why).help(help));
        return None;
    }
    Some(SigningKey { algorithm: algorithm.to_owned(), kid: None, thumbprint: None, pem: Secret::new(text) })
}

/// The `x5t#S256` of the certificate in a file, if that is the certificate of this key.
pub(super) fn thumbprint(
    cx: &mut Context<'_>,
    view: View<'_>,
    key: &SigningKey,
    usage: &SigningUse,
) -> Option<String> {
    let (name, at) = (view.text("certificate")?, view.at_key("certificate"));
    let (_, certificates) = unpacked(cx, name, at, FILE_BYTES_MAX, CERTIFICATE)?;
    let public = pkcs8(key.pem.expose()).and_then(|der| public_key(&der, &key.algorithm)).unwrap_or_default();
    let what = match certificates.as_deref() {
        Ok([certificate, ..]) if certificate.windows(public.len().max(1)).any(|part| part == public) => {
            return Some(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, certificate)));
        }
        Ok(_) => "the first certificate of this file is of another key".to_owned(),
        Err(problem) => problem.clone(),
    };
    let help = "name the certificate that was made of this key, and that the provider was given";
    cx.push(Diagnostic::error(usage.code, at, what).why(usage.why).help(help));
    None
}

/// What is wrong, and how to mend it.
type Flawed = (String, &'static str);

/// The key of a PEM file (RFC 7468, section 10).
fn pkcs8(text: &str) -> Result<Vec<u8>, Flawed> {
    const CONVERT: &str =
        "write the key as PKCS#8 without a passphrase: `openssl pkcs8 -topk8 -nodes -in OLD -out NEW`";
    for (label, what) in [
        ("EC PRIVATE KEY", "this key is in the form of SEC 1"),
        ("RSA PRIVATE KEY", "this key is in the form of PKCS#1"),
        ("ENCRYPTED PRIVATE KEY", "this key needs a passphrase"),
    ] {
        if text.contains(&format!("-----BEGIN {label}-----")) {
            return Err((what.to_owned(), CONVERT));
        }
    }
    let keys = items(text.as_bytes(), PRIVATE_KEY).map_err(|problem| (problem, CONVERT))?;
    keys.into_iter().next().ok_or_else(|| ("it holds no private key".to_owned(), CONVERT))
}

/// The public half of a key, if that fits the algorithm.
fn public_key(der: &[u8], algorithm: &str) -> Result<Vec<u8>, Flawed> {
    if algorithm == "PS256" {
        let help = "make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out FILE`";
        let key = RsaKeyPair::from_pkcs8(der).map_err(|_| {
            ("this is no RSA key of at least 2048 bits, which `PS256` needs".to_owned(), help)
        })?;
        if key.public_modulus_len() < MODULUS_BYTES_MIN {
            return Err(("an RSA key has at least 2048 bits".to_owned(), help));
        }
        return Ok(key.public_key().as_ref().to_vec());
    }
    let help = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE`";
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        .map_err(|_| ("this is no EC key on the curve P-256, which `ES256` needs".to_owned(), help))?;
    Ok(key.public_key().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> [u8; 32] {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).unwrap();
        key
    }

    #[test]
    fn a_seal_key_is_thirty_two_bytes_raw_in_base64_or_in_hexadecimal() {
        let key = random();
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [key.to_vec(), STANDARD.encode(key).into_bytes(), hex.clone().into_bytes()] {
            assert_eq!(seal_key(&text), Some(SealKey(key)));
        }
        assert_eq!(seal_key(format!("{hex}\n").as_bytes()), Some(SealKey(key)));
        for bad in [&key[1..], b"", &[b'x'; 64], STANDARD.encode(&key[..31]).as_bytes(), &[1; 33]] {
            assert_eq!(seal_key(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn trap_16_a_key_that_can_be_guessed_is_refused() {
        for _ in 0..10_000 {
            assert_eq!(weakness(&random()), None);
        }
        let halves: Vec<u8> = (0..16).chain(0..16).collect();
        let counted: Vec<u8> = (7..39).collect();
        let down: Vec<u8> = (0..32).map(|at| 255 - 3 * at).collect();
        let text = *b"changeme-changeme-Changeme-12345";
        let chosen = *b"The quick brown fox jumps over 1";
        for weak in [[0; 32], [0xff; 32], halves.try_into().unwrap(), counted.try_into().unwrap()] {
            assert!(weakness(&weak).is_some(), "{weak:?}");
        }
        for weak in [text, chosen, down.try_into().unwrap()] {
            assert!(weakness(&weak).is_some(), "{weak:?}");
        }
    }

    #[test]
    fn a_client_secret_that_can_be_guessed_is_refused() {
        for good in ["kXq8Q~JrT0fL5nZ3", "9f86d081884c7d659a2feaa0c55ad015", "GOCSPX-dJ2bZ6Wm0xVq"] {
            assert_eq!(guessable(&Secret::new(good)), None, "{good}");
        }
        for weak in
            ["short", "changeme-changeme-1", "aaaaaaaaaaaaaaaabbbb", "0000000000000000", "YOUR-CLIENT-SECRET"]
        {
            assert!(guessable(&Secret::new(weak)).is_some(), "{weak}");
        }
    }
}
