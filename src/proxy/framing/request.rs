//! From octets to a request: the only file that knows how a parsed head becomes one.

use bytes::Bytes;
use http::{Method, Uri, Version};

use crate::message::{Fields, Name, Parsed, RequestHead};

/// The fields of a parsed head. They are a copy: the buffer that it was read into goes back at once.
pub(super) fn fields_of(head: &[u8], parsed: &httparse::Request<'_, '_>) -> Fields {
    let mut fields = Parsed::of(head);
    for field in parsed.headers.iter() {
        let text = field.name.as_bytes();
        fields.add(Name::of(text), text, field.value);
    }
    fields.into_fields()
}

/// The request that `parsed` is, with its fields.
pub(super) fn request_of(parsed: &httparse::Request<'_, '_>, fields: Fields) -> Result<RequestHead, &'static str> {
    let target = Bytes::copy_from_slice(parsed.path.unwrap_or_default().as_bytes());
    Ok(RequestHead {
        method: Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| "bad method")?,
        uri: Uri::from_maybe_shared(target).map_err(|_| "bad request target")?,
        version: if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 },
        fields,
    })
}
