//! Files of certificate authorities and of their revocation lists: read and unpacked at load, so that a file of
//! something else is reported with its place and not at the first handshake.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::file;
use crate::schema::tree::View;
use crate::settings::{Authorities, RevocationLists};

pub(super) const CERTIFICATE: &str = "CERTIFICATE";
const LIST: &str = "X509 CRL";
/// The largest file, in bytes: all public authorities together take a quarter of it.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;
/// The largest file of revocation lists, in bytes: some 200,000 serial numbers.
const LISTS_BYTES_MAX: u64 = 8 << 20;

/// The authorities in the file under this key, if the key is there.
pub(super) fn authorities(cx: &mut Context<'_>, view: View<'_>, key: &str) -> Option<Authorities> {
    authorities_at(
        cx,
        view.text(key)?,
        view.at_key(key),
        "no server's certificate could be checked against it",
    )
}

/// The authorities in a file; `why` says what they are for.
pub(super) fn authorities_at(
    cx: &mut Context<'_>,
    text: &str,
    at: At,
    why: &'static str,
) -> Option<Authorities> {
    let (file, certificates) = unpacked(cx, text, at, FILE_BYTES_MAX, CERTIFICATE)?;
    match certificates {
        Ok(certificates) => Some(Authorities { file, certificates }),
        Err(problem) => {
            cx.push(
                Diagnostic::error("ca/certificate", at, format!("`{}`: {problem}", file.display()))
                    .why(why)
                    .help("name a PEM file with one `BEGIN CERTIFICATE` for each authority"),
            );
            None
        }
    }
}

/// The revocation lists in a file.
pub(super) fn revocations_at(cx: &mut Context<'_>, text: &str, at: At) -> Option<RevocationLists> {
    let (file, lists) = unpacked(cx, text, at, LISTS_BYTES_MAX, LIST)?;
    match lists {
        Ok(lists) => Some(RevocationLists { file, lists }),
        Err(problem) => {
            cx.push(
                Diagnostic::error("crl/list", at, format!("`{}`: {problem}", file.display()))
                    .why("whoever was revoked in it would be let in")
                    .help("name a PEM file with one `BEGIN X509 CRL` for each list; `openssl crl -inform DER -in LIST` writes one"),
            );
            None
        }
    }
}

/// What a PEM file holds, in DER.
type Items = Vec<Vec<u8>>;

/// What a file holds under this label, if it can be read at all.
pub(super) fn unpacked(
    cx: &mut Context<'_>,
    text: &str,
    at: At,
    bytes_max: u64,
    label: &str,
) -> Option<(PathBuf, Result<Items, String>)> {
    let file = cx.readable_at(text, at)?;
    let read = file::read(&file, bytes_max).map_err(|error| error.to_string());
    let items = read.and_then(|text| items(&text, label));
    Some((file, items))
}

/// The items of a PEM file with this label, unpacked (RFC 7468). What stands around them is comment.
pub(super) fn items(text: &[u8], label: &str) -> Result<Items, String> {
    let name = match label {
        LIST => "revocation list",
        CERTIFICATE => "certificate",
        _ => "private key",
    };
    let text = String::from_utf8_lossy(text);
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    for part in text.split(&begin).skip(1) {
        let number = found.len() + 1;
        let (inside, _) = part.split_once(&end).ok_or_else(|| format!("{name} {number} has no end"))?;
        let digits: String = inside.split_whitespace().collect();
        let der = STANDARD.decode(digits).ok().filter(|der| der.first() == Some(&0x30));
        found.push(der.ok_or_else(|| format!("{name} {number} cannot be read"))?);
    }
    if found.is_empty() { Err(format!("it holds no {name}")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_certificates_and_comments_or_is_none() {
        let certificates = |text: &[u8]| items(text, CERTIFICATE);
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let one = format!("# root\n{begin}\nMAA\n=\n{end}\n");
        assert_eq!(certificates(one.as_bytes()), Ok(vec![vec![0x30, 0]]));
        assert_eq!(certificates(one.repeat(3).as_bytes()).map(|all| all.len()), Ok(3));
        assert_eq!(
            certificates(b"\xef\xbb\xbf-----BEGIN PRIVATE KEY-----"),
            Err("it holds no certificate".into())
        );
        let cut = format!("{one}{begin}\nMAA=");
        assert_eq!(certificates(cut.as_bytes()), Err("certificate 2 has no end".into()));
        for bad in ["MA*A", "", "QUJD"] {
            let text = format!("{begin}\n{bad}\n{end}");
            assert_eq!(certificates(text.as_bytes()), Err("certificate 1 cannot be read".into()), "{bad}");
        }
        assert_eq!(items(one.as_bytes(), LIST), Err("it holds no revocation list".into()));
        let list = one.replace(CERTIFICATE, LIST);
        assert_eq!(items(list.as_bytes(), LIST), Ok(vec![vec![0x30, 0]]));
    }
}
