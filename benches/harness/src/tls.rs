//! A certificate authority for one run, and a listener that speaks TLS.

use crate::Failure;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The name in the certificate.
pub(crate) const HOST: &str = "localhost";

/// Signs the stub's certificate.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bench");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self(CertifiedIssuer::self_signed(params, key)?))
    }

    /// The certificate that the functions must trust.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn acceptor(&self) -> Result<TlsAcceptor, Failure> {
        let params = CertificateParams::new([HOST.to_owned()])?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The certificates that the functions must trust, in files.
#[derive(Debug)]
pub(crate) struct Trusted {
    /// The stub's alone.
    pub(crate) own: PathBuf,
    /// The stub's after the system's, since a function on Lambda also reads all of these.
    pub(crate) all: PathBuf,
}

/// The system's certificates, as Debian and Amazon Linux have them.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The file with the system's certificates.
pub(crate) fn bundle() -> Option<&'static str> {
    BUNDLES.into_iter().find(|file| Path::new(file).exists())
}

impl Trusted {
    pub(crate) fn write(folder: &Path, authority: &str) -> Result<Self, Failure> {
        let of_system = bundle().and_then(|file| fs::read_to_string(file).ok());
        let all = of_system.unwrap_or_default() + authority;
        let write = |name: &str, text: &str| {
            let file = std::path::absolute(folder)?.join(name);
            fs::write(&file, text).map_err(|error| Failure::File(file.clone(), error))?;
            Ok::<_, Failure>(file)
        };
        Ok(Self {
            own: write("authority.pem", authority)?,
            all: write("authorities.pem", &all)?,
        })
    }
}

/// Connections after their handshake.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Shakes hands with several clients at once.
    pub(crate) fn new(tcp: TcpListener, authority: &Authority) -> Result<Self, Failure> {
        let acceptor = authority.acceptor()?;
        let address = tcp.local_addr()?;
        let (done, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = tcp.accept().await {
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    // Without TCP_NODELAY, the kernel delays small answers.
                    if stream.set_nodelay(true).is_ok()
                        && let Ok(stream) = acceptor.accept(stream).await
                    {
                        let _ = done.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
