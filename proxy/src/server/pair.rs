//! Certificates and their keys, looked at before anything is listened on.

use portcullis_config::file;
use portcullis_config::settings::CertificatePair;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::state::PEM_BYTES_MAX;

/// Whether certificate and key are what they are said to be, and belong together.
pub(crate) fn check_pair(tls: &CertificatePair) -> Result<(), Box<dyn std::error::Error>> {
    // A second call finds it installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&file::read(&tls.certificate, PEM_BYTES_MAX)?)
            .collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&file::read(&tls.key, PEM_BYTES_MAX)?)?;
    rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(())
}
