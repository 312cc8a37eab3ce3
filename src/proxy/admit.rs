//! Admit: a request whose meaning is beyond doubt goes on, with one `Host` field that says what its authority is.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use ipnet::IpNet;

use super::context::Exchange;
use super::framing::Violation;
use super::refusal::Refusal;
use crate::access::is_forwarded;

/// Refuses what is malformed, ambiguous or too large; sets `Host` where HTTP/2 put it elsewhere.
pub fn admit<B>(exchange: &mut Exchange, request: &mut Request<B>) -> Result<(), Refusal> {
    if let Some(violation) = exchange.connection.framing.as_ref().and_then(|framing| framing.violation_of(exchange.index)) {
        return Err(match violation {
            Violation::BadRequest(reason) => Refusal::BadRequest(reason),
            Violation::UriTooLong => Refusal::UriTooLong,
            Violation::HeadersTooLarge => Refusal::HeadersTooLarge,
        });
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed);
    }
    let limits = &exchange.worker.config.limits;
    if request.version() == Version::HTTP_2 {
        check_size(request, limits.max_header_bytes, limits.max_headers)?;
        settle_authority(request)?;
    } else if !request.headers().contains_key(HOST) {
        return Err(Refusal::BadRequest("no Host"));
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limits.max_body) {
        return Err(Refusal::BodyTooLarge { limit: limits.max_body });
    }
    if exchange.connection.trusted {
        let client = client_of(request.headers(), exchange.connection.peer, &exchange.worker.config.listen.trusted_proxies);
        let is_known = exchange.connection.peer_is_known;
        (exchange.client, exchange.client_is_known) = client.map_or_else(|proxy| (proxy, false), |client| (client, is_known));
    }
    Ok(())
}

/// The limits that the framing guard keeps on HTTP/1.1.
fn check_size<B>(request: &Request<B>, max_octets: usize, max_fields: usize) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > max_octets {
        return Err(Refusal::UriTooLong);
    }
    let fields = request.headers();
    // As they would be written in HTTP/1.1, with colon, space and line end.
    let octets: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if fields.len() > max_fields || target + octets > max_octets { Err(Refusal::HeadersTooLarge) } else { Ok(()) }
}

/// HTTP/2 names the authority in `:authority`, or in one `Host`, or in both alike (RFC 9113, section 8.3.1).
fn settle_authority<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Refusal::BadRequest("more than one Host"));
    }
    match (request.uri().authority(), host) {
        (None, None) => Err(Refusal::BadRequest("no Host")),
        (None, Some(_)) => Ok(()),
        (Some(authority), _) if authority.as_str().contains('@') => Err(Refusal::BadRequest("user information in the authority")),
        (Some(authority), Some(host)) if authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::BadRequest("the Host differs from the authority")),
        (Some(authority), None) => {
            let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::BadRequest("bad authority"))?;
            request.headers_mut().insert(HOST, value);
            Ok(())
        }
    }
}

/// The last address in `X-Forwarded-For` that no trusted proxy is at; the peer where nobody is behind it. `Err` is the
/// proxy that does not tell who is behind it, or does so in a way that is not read: it may be anyone.
fn client_of(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Result<IpAddr, IpAddr> {
    let mut client = peer;
    let mut hops = headers.get_all("x-forwarded-for").iter().rev().peekable();
    if hops.peek().is_none() && is_forwarded(headers) {
        return Err(peer);
    }
    for value in hops {
        for item in value.to_str().unwrap_or_default().rsplit(',') {
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
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append("x-forwarded-for", HeaderValue::from_str(field).unwrap());
            }
            client_of(&headers, "127.0.0.1".parse().unwrap(), &trusted)
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
