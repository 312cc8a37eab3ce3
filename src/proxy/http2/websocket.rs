//! WebSockets over HTTP/2: an extended CONNECT becomes the GET that HTTP/1.1 asks with, and its 101 a 200 (RFC 8441, section 5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request};

use crate::message::{Fields, Name};
use crate::upstream::websocket_accept;

/// A WebSocket that was asked for, and the key that stands for it towards the upstream.
pub struct Asked {
    accept: String,
}

impl Asked {
    /// Rewrites the request where it is an extended CONNECT for a WebSocket; any other stays as it is.
    pub(super) fn rewrite<B>(request: &mut Request<B>) -> Option<Self> {
        let protocol = request.extensions_mut().remove::<h2::ext::Protocol>()?;
        if request.method() != Method::CONNECT || protocol.as_str() != "websocket" {
            return None;
        }
        *request.method_mut() = Method::GET;
        let mut nonce = [0_u8; 16];
        fastrand::fill(&mut nonce);
        let key = BASE64.encode(nonce);
        let accept = websocket_accept(key.as_bytes());
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).ok()?);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        // What follows is no body.
        headers.remove(CONTENT_LENGTH);
        Some(Self { accept })
    }

    /// RFC 6455, section 4.1: a client must not take another answer.
    pub(super) fn is_answered_by(&self, fields: &Fields) -> bool {
        fields.get(Name::SecWebsocketAccept) == Some(self.accept.as_bytes())
    }
}

/// The fields of a 101 as HTTP/2 says them.
pub(super) fn switched(mut fields: Fields) -> Fields {
    for name in [Name::Connection, Name::Upgrade, Name::SecWebsocketAccept, Name::ContentLength] {
        fields.remove(name);
    }
    fields
}
