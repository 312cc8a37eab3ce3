//! The head of a request.

use http::{Method, Uri, Version, request};

use super::Fields;

/// What a request's head says.
#[derive(Debug)]
pub struct RequestHead {
    /// Request method.
    pub method: Method,
    /// Request target.
    pub uri: Uri,
    /// As it was received.
    pub version: Version,
    /// All the rest.
    pub fields: Fields,
}

impl Default for RequestHead {
    /// `GET / HTTP/1.1` without a field.
    fn default() -> Self {
        Self { method: Method::GET, uri: Uri::default(), version: Version::HTTP_11, fields: Fields::new() }
    }
}

impl From<request::Parts> for RequestHead {
    fn from(parts: request::Parts) -> Self {
        let request::Parts { method, uri, version, headers, .. } = parts;
        Self { method, uri, version, fields: Fields::from(&headers) }
    }
}
