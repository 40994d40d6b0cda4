//! Files of certificate authorities: read and unpacked at load, so that a file of something else is told with its
//! place and not at the first handshake.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::context::Context;
use crate::diagnose::Diagnostic;
use crate::schema::tree::View;
use crate::settings::Authorities;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// The largest file, in bytes: all public authorities together take a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The authorities in the file under this key, if the key is there.
pub(super) fn authorities(cx: &mut Context<'_>, view: View<'_>, key: &str) -> Option<Authorities> {
    let file = cx.readable(view, key)?;
    let mut text = Vec::new();
    let read = std::fs::File::open(&file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
    let certificates = read.map_err(|error| error.to_string()).and_then(|_| certificates(&text));
    match certificates {
        Ok(certificates) => Some(Authorities { file, certificates }),
        Err(problem) => {
            cx.push(
                Diagnostic::error(
                    "ca/certificate",
                    view.at_key(key),
                    format!("`{}`: {problem}", file.display()),
                )
                .why("no server's certificate could be checked against it")
                .help("name a PEM file with one `BEGIN CERTIFICATE` for each authority"),
            );
            None
        }
    }
}

/// The certificates of a PEM file, unpacked (RFC 7468). What stands around them is comment.
fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    for part in text.split(BEGIN).skip(1) {
        let number = found.len() + 1;
        let (inside, _) = part.split_once(END).ok_or_else(|| format!("certificate {number} has no end"))?;
        let digits: String = inside.split_whitespace().collect();
        let der = STANDARD.decode(digits).ok().filter(|der| der.first() == Some(&0x30));
        found.push(der.ok_or_else(|| format!("certificate {number} cannot be read"))?);
    }
    if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_certificates_and_comments_or_is_none() {
        let one = format!("# root\n{BEGIN}\nMAA\n=\n{END}\n");
        assert_eq!(certificates(one.as_bytes()), Ok(vec![vec![0x30, 0]]));
        assert_eq!(certificates(one.repeat(3).as_bytes()).map(|all| all.len()), Ok(3));
        assert_eq!(
            certificates(b"\xef\xbb\xbf-----BEGIN PRIVATE KEY-----"),
            Err("it holds no certificate".into())
        );
        let cut = format!("{one}{BEGIN}\nMAA=");
        assert_eq!(certificates(cut.as_bytes()), Err("certificate 2 has no end".into()));
        for bad in ["MA*A", "", "QUJD"] {
            let text = format!("{BEGIN}\n{bad}\n{END}");
            assert_eq!(certificates(text.as_bytes()), Err("certificate 1 cannot be read".into()), "{bad}");
        }
    }
}
