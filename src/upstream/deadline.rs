//! How long a gRPC client says that it waits. The deadline is the client's to keep, so no answer is waited for less.

use std::time::Duration;

use super::head::decimal;
use crate::message::{Fields, Name};

/// Longer than any call is meant to take, and within what timers can count.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The value of `grpc-timeout`, of gRPC requests only.
pub fn grpc_timeout(fields: &Fields) -> Option<Duration> {
    let media = fields.get(Name::ContentType)?;
    if !media.get(..16)?.eq_ignore_ascii_case(b"application/grpc") {
        return None;
    }
    parse(fields.get(Name::GrpcTimeout)?)
}

/// At most eight digits and a unit, as the protocol of gRPC over HTTP/2 has it.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.len() > 8 {
        return None;
    }
    let count = decimal(digits)?;
    let timeout = match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    };
    Some(timeout.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_of_grpc_is_read_as_its_protocol_says() {
        for (value, timeout) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("90S", Some(Duration::from_secs(90))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(LONGEST)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("123456789S", None),
        ] {
            assert_eq!(parse(value.as_bytes()), timeout, "{value}");
        }
    }

    #[test]
    fn only_a_grpc_request_has_one() {
        let mut fields = Fields::new();
        fields.push(Name::GrpcTimeout, "5S");
        for (media, has) in
            [("application/grpc", true), ("application/grpc+proto", true), ("Application/gRPC-web", true), ("text/plain", false)]
        {
            fields.set(Name::ContentType, media);
            assert_eq!(grpc_timeout(&fields).is_some(), has, "{media}");
        }
        fields.remove(Name::ContentType);
        assert_eq!(grpc_timeout(&fields), None);
    }
}
