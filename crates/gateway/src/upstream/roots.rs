//! Whom upstreams' certificates are checked against.

use std::sync::Arc;

use tokio_rustls::rustls::{
    self, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The certificate authorities that upstreams may be certified by: Mozilla's list, and what an operator adds.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// Why a text does not add certificate authorities.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRoots {
    /// It is no PEM.
    #[error("it is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    Empty,
    /// A certificate cannot be used.
    #[error("certificate {number} in it cannot be used: {error}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        error: rustls::Error,
    },
}

impl Default for Roots {
    fn default() -> Self {
        Self(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
    }
}

impl Roots {
    /// The same and the certificates in a PEM text.
    ///
    /// # Errors
    /// [`InvalidRoots`].
    pub fn with_pem(self, pem: &[u8]) -> Result<Self, InvalidRoots> {
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
        if certificates.is_empty() {
            return Err(InvalidRoots::Empty);
        }
        let mut store = Arc::unwrap_or_clone(self.0);
        for (index, certificate) in certificates.into_iter().enumerate() {
            let number = index + 1;
            store.add(certificate).map_err(|error| InvalidRoots::Certificate { number, error })?;
        }
        Ok(Self(Arc::new(store)))
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_text() {
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, expected) in [
            ("", "there is no certificate in it"),
            ("nonsense", "there is no certificate in it"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "it is not PEM"),
            (no_certificate, "certificate 1 in it cannot be used"),
        ] {
            let error = Roots::default().with_pem(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
