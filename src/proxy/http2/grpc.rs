//! How an answer of gRPC ends that cannot be finished. A reset with INTERNAL_ERROR would tell a gRPC client that the app has a
//! fault, where without a gateway it sees a lost connection: the status in the trailers keeps the two apart, and says that the
//! answer is not whole just as well.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::message::{Fields, Name};
use crate::proxy::body::BodyFault;
use crate::upstream::BodyError;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a head says that its body is one of gRPC, which ends in trailers; gRPC-Web has them in the body.
pub(super) fn is_grpc(fields: &Fields) -> bool {
    let media = fields.get(Name::ContentType).unwrap_or_default();
    match media.split_at_checked(b"application/grpc".len()) {
        Some((kind, rest)) => kind.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';' | b' ')),
        None => false,
    }
}

/// The trailers that tell why an answer ends; None where a reset tells it better.
pub(super) fn status_of(error: &BodyError) -> Option<HeaderMap> {
    let (status, message) = match error {
        BodyError::Upstream(_) => ("14", "The app's connection broke within its answer."),
        BodyError::RequestBody(fault) if matches!(fault.downcast_ref(), Some(BodyFault::TooLarge(_))) => {
            ("8", "The request's messages are larger together than this gateway takes.")
        }
        // The app's own reason, or a client that is gone.
        BodyError::Reset { .. } | BodyError::RequestBody(_) => return None,
    };
    let fields = [(STATUS, HeaderValue::from_static(status)), (MESSAGE, HeaderValue::from_static(message))];
    Some(HeaderMap::from_iter(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_ends_in_trailers_of_its_own() {
        for (media, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grp", false),
            ("application/json", false),
        ] {
            let mut fields = Fields::new();
            fields.push(Name::ContentType, media);
            assert_eq!(is_grpc(&fields), expected, "{media}");
        }
        assert!(!is_grpc(&Fields::new()));
    }
}
