//! The gateway asks itself what the authority would: whoever answers elsewhere shows before an order is spent on it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::shown;
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
        let asked = at_all(probe, probe.http_port).map(|at| get(at, probe.name, &path).map(move |answer| (at, answer)));
        judge(join_all(asked).await, |at, answer: String| {
            let line: String = answer.lines().next().unwrap_or_default().chars().take(60).collect();
            let told = format!("{at} answers `{}` to {path}, which is not what this gateway answers", shown(&line));
            if answer.ends_with(&text) { Ok(()) } else { Err(told) }
        })
    }

    async fn probe_alpn(&self, probe: &Probe<'_>) -> Result<(), ProbeError> {
        let mut digest = [0; 32];
        fastrand::fill(&mut digest);
        let offered = self.challenges.offer_certificate(probe.name, &digest);
        let _offered = offered.map_err(|error| ProbeError::Unreachable(error.to_string()))?;
        let asked = at_all(probe, probe.https_port).map(|at| handshake(at, probe.name).map(move |answer| (at, answer)));
        judge(join_all(asked).await, |at, certificate: Vec<u8>| {
            let is_ours = certificate.windows(digest.len()).any(|part| part == digest);
            if is_ours { Ok(()) } else { Err(format!("{at} shows another certificate than this gateway")) }
        })
    }
}

fn at_all<'a>(probe: &'a Probe<'_>, port: u16) -> impl Iterator<Item = SocketAddr> + 'a {
    probe.addresses.iter().take(MOST_ADDRESSES).map(move |address| SocketAddr::new(*address, port))
}

/// No address may have another answer than ours. One where nobody answers is passed over by authorities, as long as there is another.
fn judge<T>(answers: Vec<(SocketAddr, io::Result<T>)>, is_ours: impl Fn(SocketAddr, T) -> Result<(), String>) -> Result<(), ProbeError> {
    let (mut found, mut silent) = (false, None);
    for (at, answer) in answers {
        match answer {
            Ok(answer) => is_ours(at, answer).map_err(ProbeError::Intercepted)?,
            Err(error) => {
                silent.get_or_insert_with(|| ProbeError::Unreachable(format!("{at} cannot be reached: {error}")));
                continue;
            }
        }
        found = true;
    }
    match silent {
        Some(silent) if !found => Err(silent),
        _ => Ok(()),
    }
}

async fn within<T>(asked: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer in time")))
}

/// The whole answer, as text.
async fn get(at: SocketAddr, host: &Host, path: &str) -> io::Result<String> {
    within(async {
        let mut stream = TcpStream::connect(at).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gatehouse\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MOST_OCTETS).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await
}

/// The certificate that is shown to an authority.
async fn handshake(at: SocketAddr, host: &Host) -> io::Result<Vec<u8>> {
    let seen = Arc::new(Seen::default());
    #[allow(clippy::expect_used, reason = "fails only for a provider without suites of these versions, and this one has them")]
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
    let name = ServerName::try_from(host.to_string()).map_err(io::Error::other)?;
    within(async {
        let stream = TcpStream::connect(at).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(seen.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default())
    })
    .await
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
