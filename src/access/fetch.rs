//! How the keys of issuers are fetched: over HTTPS (clear HTTP on this machine only), without following redirects, with bounds on
//! time and size, and never from a link-local address, where clouds keep the secrets of their machines.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tower::Service;

use super::key_set::KeySet;
use super::keyring::Keyring;
use crate::model::KeySource;
use crate::model::issuer::{is_barred, key_url};
use crate::trust;

/// For one document.
const PATIENCE: Duration = Duration::from_secs(10);
/// No document is larger.
const MOST_OCTETS: usize = 512 * 1024;
/// However long a document says that it is good, it is fetched again after this.
const LONGEST_FRESH: Duration = Duration::from_secs(24 * 3600);

/// Fetches keys.
pub struct Fetcher(Client<HttpsConnector<HttpConnector<CheckedNames>>, Empty<Bytes>>);

/// Keys that were fetched.
pub struct Fetched {
    /// They.
    pub keys: KeySet,
    /// How long they are good, where the answer says so (RFC 9111, section 5.2.2.1).
    pub fresh: Option<Duration>,
}

impl Fetcher {
    /// With the system's roots.
    pub fn new() -> Self {
        let mut http = HttpConnector::new_with_resolver(CheckedNames);
        http.enforce_http(false);
        http.set_connect_timeout(Some(PATIENCE));
        let connector = HttpsConnectorBuilder::new().with_tls_config(trust::client_config(trust::system_roots()));
        let connector = connector.https_or_http().enable_http1().wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(Duration::from_secs(10)).pool_timer(TokioTimer::new());
        Self(builder.build(connector))
    }

    /// The keys of a ring as they are published now; the error says what is wrong with whom.
    pub async fn keys(&self, ring: &Keyring) -> Result<Fetched, String> {
        let url = match &ring.source {
            KeySource::Url(url) => url.clone(),
            KeySource::Given(_) => return Err("its keys are given".to_owned()),
            KeySource::Discovered => self.discover(&ring.issuer).await?,
        };
        let (document, headers) = self.document(&url).await?;
        let keys = KeySet::read(document).map_err(|error| format!("{url}: {error}"))?;
        Ok(Fetched { keys, fresh: freshness(&headers) })
    }

    /// Where an issuer says that its keys are (OpenID Connect Discovery 1.0, sections 4.1 and 4.3).
    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (document, _) = self.document(&url).await?;
        match document["issuer"].as_str() {
            Some(said) if said == issuer => {}
            said => return Err(format!("{url} is of the issuer `{}`, not of `{issuer}`", said.unwrap_or_default())),
        }
        document["jwks_uri"].as_str().map(str::to_owned).ok_or_else(|| format!("{url} has no jwks_uri"))
    }

    async fn document(&self, url: &str) -> Result<(Value, HeaderMap), String> {
        let uri = key_url(url).map_err(|error| error.to_string())?;
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .header(header::USER_AGENT, concat!("gatehouse/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| format!("{url}: {error}"))?;
        let whole = async {
            let (parts, body) = self.0.request(request).await.map_err(|error| format!("{url}: {}", chain(&error)))?.into_parts();
            if parts.status != http::StatusCode::OK {
                return Err(format!("{url} answered {}", parts.status));
            }
            let body = Limited::new(body, MOST_OCTETS).collect().await.map_err(|error| format!("{url}: {error}"))?;
            let document = serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("{url} did not answer JSON: {error}"))?;
            Ok((document, parts.headers))
        };
        let late = || Err(format!("{url} did not answer within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, whole).await.unwrap_or_else(|_| late())
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

/// Names are resolved as the system does it; what leads to a link-local address leads nowhere.
#[derive(Clone)]
struct CheckedNames;

impl Service<Name> for CheckedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|address| !is_barred(address.ip())).collect();
            if good.is_empty() {
                Err(io::Error::other(format!("{} has no address to fetch keys from", name.as_str())))
            } else {
                Ok(good.into_iter())
            }
        })
    }
}

fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|field| field.to_str().ok());
    let seconds = fields.flat_map(|field| field.split(',')).find_map(|item| item.trim().strip_prefix("max-age=")?.parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds).min(LONGEST_FRESH))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_how_long_it_is_good() {
        let fresh = |field: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static(field));
            freshness(&headers).map(|fresh| fresh.as_secs())
        };
        assert_eq!(fresh("public, max-age=600, must-revalidate"), Some(600));
        assert_eq!(fresh("max-age=99999999"), Some(86_400));
        assert_eq!(fresh("no-cache"), None);
    }
}
