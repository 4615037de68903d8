//! A certificate authority of a test's own, which no machine trusts.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The name in a good certificate, by which a client reaches the stand-in.
pub(super) const HOST: &str = "localhost";

/// The fault of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    OtherHost,
    Expired,
}

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate or the TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no certificate can be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("no TLS server can be made: {0}")]
    Server(#[from] rustls::Error),
}

impl Authority {
    /// Makes a new one of this name. Two of one name count as the same issuer with a bad signature.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// Its certificate, for clients that shall trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Accepts connections with a certificate that it signs.
    pub(super) fn acceptor(&self, flaw: Flaw) -> Result<TlsAcceptor, TlsError> {
        let host = if flaw == Flaw::OtherHost {
            "elsewhere.example"
        } else {
            HOST
        };
        let mut params = CertificateParams::new([host.to_owned()])?;
        if flaw == Flaw::Expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key.into())?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
