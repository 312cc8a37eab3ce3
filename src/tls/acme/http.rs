//! How the authority is spoken to: HTTPS with the system's roots and those of `tls.acme.ca_file`, and never for ever.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::OrderError;
use crate::trust;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// No chain or document of an authority is larger.
const MOST_OCTETS: usize = 256 * 1024;

/// A client of the authority.
#[derive(Clone)]
pub struct Http(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

/// `tls.acme.ca_file` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("tls.acme.ca_file `{}` holds no usable root certificate: {reason}", path.display())]
pub struct RootsError {
    path: PathBuf,
    reason: String,
}

impl Http {
    pub fn new(ca_file: Option<&Path>) -> Result<Self, RootsError> {
        let mut roots = trust::system_roots();
        if let Some(path) = ca_file {
            add(&mut roots, path).map_err(|reason| RootsError { path: path.to_owned(), reason })?;
        }
        let tls = trust::client_config(roots);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Status and JSON of a document that anyone may read.
    pub async fn get_json(&self, url: &str) -> Result<(StatusCode, Option<Value>), OrderError> {
        let request = Request::get(url).header(http::header::USER_AGENT, "gatehouse").body(BodyWrapper::default());
        let mut response = self.request(request.map_err(Error::from)?).await?;
        let body = response.body.into_bytes().await.map_err(Error::Other)?;
        Ok((response.parts.status, serde_json::from_slice(&body).ok()))
    }
}

impl HttpClient for Http {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.0.request(request);
        let whole = async move {
            let (parts, body) = asked.await.map_err(|error| Error::Other(Box::new(error)))?.into_parts();
            let body = Limited::new(body, MOST_OCTETS).collect().await.map_err(Error::Other)?.to_bytes();
            Ok(BytesResponse { parts, body: Box::new(body) })
        };
        // To the end of the body, which may never come.
        Box::pin(async move { tokio::time::timeout(PATIENCE, whole).await.unwrap_or(Err(Error::Timeout(None))) })
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        count += 1;
    }
    if count > 0 { Ok(()) } else { Err("there is no CERTIFICATE section".to_owned()) }
}
