//! When the certificates of the listeners expire, for the metric that an alert watches.

use portcullis_config::file;
use portcullis_config::settings::Listener;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The largest file with a certificate chain or a key, in bytes.
pub(crate) const PEM_BYTES_MAX: u64 = 1 << 20;

/// Each listener with TLS, and the Unix second at which the first certificate of its chain expires.
/// A file that cannot be read is left out: the listener itself says so, in words.
pub(super) fn expiries(listeners: &[Listener]) -> Vec<(String, i64)> {
    let expiry = |listener: &Listener| {
        let file = &listener.tls.as_ref()?.pairs.first()?.certificate;
        let pem = file::read(file, PEM_BYTES_MAX).ok()?;
        let leaf = CertificateDer::pem_slice_iter(&pem).next()?.ok()?;
        let (_, certificate) = X509Certificate::from_der(&leaf).ok()?;
        Some((listener.address.to_string(), certificate.validity().not_after.timestamp()))
    };
    listeners.iter().filter_map(expiry).collect()
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::{CertificatePair, ListenerTls};

    use super::*;

    #[test]
    fn a_listener_expires_with_the_first_certificate_of_its_chain() {
        let folder = tempfile::tempdir().unwrap();
        let pem = |year| {
            let mut params = rcgen::CertificateParams::new(vec!["wiki.example.com".into()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        let certificate = folder.path().join("chain.pem");
        std::fs::write(&certificate, pem(2030) + &pem(2050)).unwrap();
        let plain = Listener {
            address: "127.0.0.1:80".parse().unwrap(),
            tls: None,
            public_port: None,
            redirect_to_https: false,
            hsts: None,
        };
        let listener = |certificate| Listener {
            address: "127.0.0.1:443".parse().unwrap(),
            tls: Some(ListenerTls {
                pairs: vec![CertificatePair { certificate, key: folder.path().join("key.pem") }],
                ticket_keys: Vec::new(),
            }),
            ..plain.clone()
        };
        let missing = folder.path().join("missing.pem");
        assert_eq!(
            expiries(&[listener(certificate), listener(missing), plain]),
            [("127.0.0.1:443".to_owned(), 1_893_456_000)]
        );
    }
}
