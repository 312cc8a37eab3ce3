//! TXT records from the servers that are responsible for a zone, so that a record counts as soon as it is set and none counts
//! that is gone.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::{DnsFailure, ask, name_server, parent, resolver};

/// Servers of a zone that are asked; more bring nothing.
const MOST_SERVERS: usize = 4;
const PORT: u16 = 53;

/// The texts at `name`. A zone whose servers nobody knows (there are such in private networks) is looked up as usual, and so
/// is a name that is an alias of another one, whose servers may be others.
pub(super) async fn texts(recursive: &TokioResolver, name: &str) -> Result<Vec<String>, DnsFailure> {
    let servers = servers_of(recursive, name).await?;
    if !servers.is_empty() {
        let found = ask_all(&servers, name).await;
        // Its servers may refuse to say what another zone has.
        let is_elsewhere = !found.as_ref().is_ok_and(|found| !found.is_empty()) && is_alias(recursive, name).await?;
        if !is_elsewhere {
            return found;
        }
    }
    Ok(texts_in(&ask(recursive, name, RecordType::TXT, "TXT").await?))
}

/// The addresses of the servers of the zone that `name` is in: of the nearest name upwards that has NS records of its own.
async fn servers_of(recursive: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
    let mut zone = parent(name);
    while let Some(candidate) = zone {
        let records = ask(recursive, candidate, RecordType::NS, "NS").await?;
        // A name that is an alias has those of the other name in its answer.
        let own = records.iter().filter(|record| is_called(&record.name, candidate));
        let names: Vec<String> =
            own.filter_map(|record| if let RData::NS(server) = &record.data { Some(server.to_string()) } else { None }).collect();
        if !names.is_empty() {
            return addresses_of(recursive, &names).await;
        }
        zone = parent(candidate);
    }
    Ok(Vec::new())
}

/// Of each server one address, so that one that is down does not fill all places.
async fn addresses_of(recursive: &TokioResolver, names: &[String]) -> Result<Vec<IpAddr>, DnsFailure> {
    let (mut found, mut failure) = (Vec::new(), None);
    for name in names.iter().take(MOST_SERVERS) {
        match ask(recursive, name, RecordType::A, "A").await {
            Ok(records) => found.extend(records.iter().filter_map(|record| record.data.ip_addr()).take(1)),
            Err(error) => failure = Some(error),
        }
    }
    if found.is_empty()
        && let Some(name) = names.first()
    {
        let records = ask(recursive, name, RecordType::AAAA, "AAAA").await?;
        found.extend(records.iter().filter_map(|record| record.data.ip_addr()));
    }
    match failure {
        Some(failure) if found.is_empty() => Err(failure),
        _ => Ok(found),
    }
}

/// What any of the servers has: a record that one of them knows is one that its owner has set. Fails where none answers.
async fn ask_all(servers: &[IpAddr], name: &str) -> Result<Vec<String>, DnsFailure> {
    let asked = servers.iter().map(|server| async {
        let config = ResolverConfig::from_name_servers(vec![name_server(SocketAddr::new(*server, PORT))]);
        let failed = |reason: String| DnsFailure { name: name.to_owned(), kind: "TXT", reason };
        let server = resolver(config, false).map_err(|error| failed(error.to_string()))?;
        ask(&server, name, RecordType::TXT, "TXT").await.map(|records| texts_in(&records))
    });
    let (mut texts, mut failure, mut answered) = (Vec::new(), None, false);
    for answer in futures_util::future::join_all(asked).await {
        match answer {
            Ok(found) => {
                answered = true;
                texts.extend(found);
            }
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(failure) if !answered => Err(failure),
        _ => Ok(texts),
    }
}

async fn is_alias(recursive: &TokioResolver, name: &str) -> Result<bool, DnsFailure> {
    let records = ask(recursive, name, RecordType::CNAME, "CNAME").await?;
    Ok(records.iter().any(|record| matches!(record.data, RData::CNAME(_))))
}

fn is_called(name: &Name, wanted: &str) -> bool {
    name.to_ascii().trim_end_matches('.').eq_ignore_ascii_case(wanted)
}

/// The strings of a record belong together (RFC 7208, section 3.3, has become the custom).
fn texts_in(records: &[Record]) -> Vec<String> {
    let texts = records.iter().filter_map(|record| if let RData::TXT(text) = &record.data { Some(text) } else { None });
    texts.map(|text| String::from_utf8_lossy(&text.txt_data.concat()).trim().to_owned()).collect()
}
