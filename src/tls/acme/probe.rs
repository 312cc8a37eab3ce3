//! The gateway asks itself what the authority would: whoever answers elsewhere shows before an order is spent on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Issuer, Method};
use crate::model::Host;
use crate::tls::challenges::{ACME_PROTOCOL, CHALLENGE_PATH};

const PATIENCE: Duration = Duration::from_secs(5);
/// Of a name with many addresses, so many are tried.
const MOST_ADDRESSES: usize = 4;
const MOST_OCTETS: u64 = 8 * 1024;

/// Where the authority would look.
#[derive(Debug, Clone)]
pub struct Probe<'a> {
    /// The name.
    pub name: &'a Host,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// Port of HTTP-01.
    pub http_port: u16,
    /// Port of TLS-ALPN-01.
    pub https_port: u16,
}

/// The authority would not find us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// Someone else does.
    #[error("{0}")]
    Intercepted(String),
}

impl Issuer {
    /// Tries both ways at every address; the one to take, `preferred` where both work.
    pub async fn probe(&self, probe: &Probe<'_>, preferred: Method) -> Result<Method, ProbeError> {
        if !self.config.self_probe {
            return Ok(preferred);
        }
        let (http, alpn) = tokio::join!(self.probe_http(probe), self.probe_alpn(probe));
        match (http, alpn) {
            (Ok(()), Ok(())) => Ok(preferred),
            (Ok(()), Err(_)) => Ok(Method::Http01),
            (Err(_), Ok(())) => Ok(Method::TlsAlpn01),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn probe_http(&self, probe: &Probe<'_>) -> Result<(), ProbeError> {
        let (token, text) = (random(), random());
        let _offered = self.challenges.offer_text(probe.name, &token, &text);
        let path = format!("{CHALLENGE_PATH}{token}");
        for address in probe.addresses.iter().take(MOST_ADDRESSES) {
            let at = SocketAddr::new(*address, probe.http_port);
            let answer = within(&at, get(at, probe.name, &path)).await?;
            if !answer.ends_with(&text) {
                let line = answer.lines().next().unwrap_or_default();
                let line: String = line.chars().take(60).filter(|char| !char.is_control()).collect();
                return Err(ProbeError::Intercepted(format!("{at} answers `{line}` to {path}, which is not what this gateway answers")));
            }
        }
        Ok(())
    }

    async fn probe_alpn(&self, probe: &Probe<'_>) -> Result<(), ProbeError> {
        let mut digest = [0; 32];
        fastrand::fill(&mut digest);
        let offered = self.challenges.offer_certificate(probe.name, &digest);
        let _offered = offered.map_err(|error| ProbeError::Unreachable(error.to_string()))?;
        for address in probe.addresses.iter().take(MOST_ADDRESSES) {
            let at = SocketAddr::new(*address, probe.https_port);
            let shown = within(&at, handshake(at, probe.name)).await?;
            if !shown.windows(digest.len()).any(|part| part == digest) {
                return Err(ProbeError::Intercepted(format!("{at} shows another certificate than this gateway")));
            }
        }
        Ok(())
    }
}

async fn within<T>(at: &SocketAddr, asked: impl Future<Output = std::io::Result<T>>) -> Result<T, ProbeError> {
    let unreachable = |reason: String| ProbeError::Unreachable(format!("{at} cannot be reached: {reason}"));
    let answer = timeout(PATIENCE, asked).await.map_err(|_| unreachable("it does not answer in time".to_owned()))?;
    answer.map_err(|error| unreachable(error.to_string()))
}

/// The whole answer, as text.
async fn get(at: SocketAddr, host: &Host, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gatehouse\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_OCTETS).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The certificate that is shown to an authority.
async fn handshake(at: SocketAddr, host: &Host) -> std::io::Result<Vec<u8>> {
    let seen = Arc::new(Seen::default());
    #[allow(clippy::expect_used, reason = "fails only for a provider without suites of these versions, and this one has them")]
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
    let name = ServerName::try_from(host.to_string()).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(at).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let certificate = seen.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(certificate.unwrap_or_default())
}

/// Looks at the certificate that is shown and trusts it with nothing: the connection is closed at once.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Nobody who cannot see our answers can give this one.
fn random() -> String {
    format!("{:032x}", uuid::Uuid::new_v4().as_u128())
}
