//! The one crypto library of the process.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one crypto library; installed as the default of the process in `main`, and named here so that nothing turns
/// on who came first.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}
