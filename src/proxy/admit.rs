//! Admit: a request whose meaning is beyond doubt goes on, with one `Host` field that says what its authority is.

use std::net::IpAddr;

use http::{Method, Version};
use ipnet::IpNet;

use super::context::Exchange;
use super::framing::Violation;
use super::refusal::Refusal;
use crate::access::is_forwarded;
use crate::message::{Field, Fields, Name};

/// Refuses what is malformed, ambiguous or too large; sets `Host` where HTTP/2 put it elsewhere.
pub fn admit(exchange: &mut Exchange, fields: &mut Fields) -> Result<(), Refusal> {
    if let Some(violation) = exchange.connection.http1.as_ref().and_then(|http1| http1.violation()) {
        return Err(match violation {
            Violation::BadRequest(reason) => Refusal::BadRequest(reason),
            Violation::UriTooLong => Refusal::UriTooLong,
            Violation::HeadersTooLarge => Refusal::HeadersTooLarge,
        });
    }
    if matches!(exchange.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    let limits = &exchange.worker.config.limits;
    if exchange.version == Version::HTTP_2 {
        check_fields(exchange, fields, limits.max_header_bytes, limits.max_headers)?;
        settle_authority(exchange, fields)?;
    } else if !fields.has(Name::Host) {
        return Err(Refusal::BadRequest("no Host"));
    }
    if declared_length(fields).is_some_and(|length| length > limits.max_body) {
        return Err(Refusal::BodyTooLarge { limit: limits.max_body });
    }
    if exchange.connection.trusted {
        let client = client_of(fields, exchange.connection.peer, &exchange.worker.config.listen.trusted_proxies);
        let is_known = exchange.connection.peer_is_known;
        (exchange.client, exchange.client_is_known) = client.map_or_else(|proxy| (proxy, false), |client| (client, is_known));
    }
    Ok(())
}

/// The length that a body says to have.
pub fn declared_length(fields: &Fields) -> Option<u64> {
    fields.get(Name::ContentLength).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
}

/// The limits and rules that the verdict on a head keeps on HTTP/1.1.
fn check_fields(exchange: &Exchange, fields: &Fields, max_octets: usize, max_fields: usize) -> Result<(), Refusal> {
    let target = exchange.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > max_octets {
        return Err(Refusal::UriTooLong);
    }
    let mut octets = 0;
    for Field { text, value, .. } in fields.iter() {
        // The app would not see it, and so read another value (RFC 9113, section 8.2.1).
        if value.trim_ascii().len() < value.len() {
            return Err(Refusal::BadRequest("white space around a field value"));
        }
        // As it would be written in HTTP/1.1, with colon, space and line end.
        octets += text.len() + value.len() + 4;
    }
    if fields.len() > max_fields || target + octets > max_octets { Err(Refusal::HeadersTooLarge) } else { Ok(()) }
}

/// HTTP/2 names the authority in `:authority`, or in one `Host`, or in both alike (RFC 9113, section 8.3.1).
fn settle_authority(exchange: &Exchange, fields: &mut Fields) -> Result<(), Refusal> {
    if fields.all(Name::Host).count() > 1 {
        return Err(Refusal::BadRequest("more than one Host"));
    }
    let unsaid = match (exchange.uri.authority(), fields.get(Name::Host)) {
        (None, None) => return Err(Refusal::BadRequest("no Host")),
        (None, Some(_)) => None,
        (Some(authority), _) if authority.as_str().contains('@') => return Err(Refusal::BadRequest("user information in the authority")),
        (Some(authority), Some(host)) if authority.as_str().as_bytes().eq_ignore_ascii_case(host) => None,
        (Some(_), Some(_)) => return Err(Refusal::BadRequest("the Host differs from the authority")),
        (Some(authority), None) => Some(authority),
    };
    if let Some(authority) = unsaid {
        fields.push(Name::Host, authority.as_str());
    }
    Ok(())
}

/// The last address in `X-Forwarded-For` that no trusted proxy is at; the peer where nobody is behind it. `Err` is the
/// proxy that does not tell who is behind it, or does so in a way that is not read: it may be anyone.
fn client_of(fields: &Fields, peer: IpAddr, trusted: &[IpNet]) -> Result<IpAddr, IpAddr> {
    let mut client = peer;
    let mut hops = fields.all(Name::XForwardedFor).rev().peekable();
    if hops.peek().is_none() && is_forwarded(fields.iter().map(|field| field.text)) {
        return Err(peer);
    }
    for value in hops {
        for item in std::str::from_utf8(value).unwrap_or_default().rsplit(',') {
            client = address_of(item.trim()).ok_or(client)?;
            if !trusted.iter().any(|network| network.contains(&client)) {
                return Ok(client);
            }
        }
    }
    Ok(client)
}

/// An address, with or without brackets and port.
fn address_of(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    address.or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_is_at() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
        let client = |fields: &[&str]| {
            let mut head = Fields::new();
            for field in fields {
                head.push(Name::XForwardedFor, field);
            }
            client_of(&head, "127.0.0.1".parse().unwrap(), &trusted)
                .map_or_else(|proxy| format!("behind {proxy}"), |client| client.to_string())
        };
        assert_eq!(client(&[]), "127.0.0.1");
        assert_eq!(client(&["6.6.6.6, 9.9.9.9, 10.0.0.1"]), "9.9.9.9");
        assert_eq!(client(&["6.6.6.6", "9.9.9.9:443, 10.0.0.1"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.2, 10.0.0.1"]), "10.0.0.2");
        assert_eq!(client(&["9.9.9.9, unknown"]), "behind 127.0.0.1");
        assert_eq!(client(&["unknown, 10.0.0.1"]), "behind 10.0.0.1");
        assert_eq!(client(&["[2001:db8::1]:80"]), "2001:db8::1");
    }
}
