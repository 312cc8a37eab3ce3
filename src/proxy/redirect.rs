//! Redirect: while TLS is on, the plaintext listener only points known hosts to https.

use super::context::Exchange;
use super::refusal::Refusal;
use super::resolve::locate;
use crate::message::Fields;

/// The same place over TLS; an unknown host is 404.
pub fn redirect(exchange: &mut Exchange, fields: &Fields) -> Result<String, Refusal> {
    locate(exchange, fields)?;
    let host = exchange.host.as_deref().unwrap_or_default();
    // `*` is of a server as a whole, which has no URL but its root's.
    let target = exchange.uri.path_and_query().map_or("/", |target| target.as_str()).trim_start_matches('*');
    let target = if target.is_empty() { "/" } else { target };
    Ok(match exchange.worker.https_port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    })
}
