//! DNS as the control plane asks it: which records are there now, not which were a while ago.
//!
//! What it promises: nothing is cached; that there is no such record is an answer, that nobody answered is an error, and the
//! two are never taken for each other.

mod authoritative;
mod caa;
mod update;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

pub use caa::CaaRule;
pub use update::{UpdateError, Updater};

/// For one try of one question. There are two tries.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks name servers.
#[derive(Clone)]
pub struct Dns {
    /// Those that look everything up for others.
    recursive: TokioResolver,
}

/// Nobody answered, or with an error: nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} records of `{name}` cannot be looked up: {reason}")]
pub struct DnsFailure {
    /// What was asked for.
    pub name: String,
    /// Of which type.
    pub kind: &'static str,
    /// What went wrong.
    pub reason: String,
}

/// There are no name servers to ask.
#[derive(Debug, thiserror::Error)]
#[error("no name servers are known ({0}); name some in `domains.name_servers`")]
pub struct NoServers(String);

impl Dns {
    /// Asks these servers; where there are none, those that the system asks.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, NoServers> {
        let config = match servers {
            [] => hickory_resolver::system_conf::read_system_conf().map_err(|error| NoServers(error.to_string()))?.0,
            servers => ResolverConfig::from_name_servers(servers.iter().map(|server| name_server(*server)).collect()),
        };
        // What the system would add to a name is none of a customer's.
        let config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers().to_vec());
        let recursive = resolver(config, true).map_err(|error| NoServers(error.to_string()))?;
        Ok(Self { recursive })
    }

    /// The addresses of a name, through aliases; none where it has none or does not exist.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        let (v4, v6) = tokio::join!(ask(&self.recursive, name, RecordType::A, "A"), ask(&self.recursive, name, RecordType::AAAA, "AAAA"));
        let addresses = [v4?, v6?].into_iter().flatten().filter_map(|record| match record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
        Ok(addresses.collect())
    }

    /// The name that a name is an alias of, where it is one.
    pub async fn alias(&self, name: &str) -> Result<Option<String>, DnsFailure> {
        let records = ask(&self.recursive, name, RecordType::CNAME, "CNAME").await?;
        let alias = records.into_iter().find_map(|record| if let RData::CNAME(alias) = record.data { Some(alias) } else { None });
        Ok(alias.map(|alias| alias.to_ascii().trim_end_matches('.').to_ascii_lowercase()))
    }

    /// Texts of a name's TXT records, as the servers have them that are responsible for it.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFailure> {
        authoritative::texts(&self.recursive, name).await
    }

    /// Who may issue certificates for a name (RFC 8659).
    pub async fn caa(&self, name: &str) -> Result<CaaRule, DnsFailure> {
        caa::rule(&self.recursive, name).await
    }
}

fn resolver(config: ResolverConfig, recursive: bool) -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = PATIENCE;
    options.attempts = 1;
    options.recursion_desired = recursive;
    options.try_tcp_on_error = true;
    builder.build()
}

/// A server on any port, by UDP, and by TCP where an answer is long.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

/// The records of a type; none where there are none.
async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType, text: &'static str) -> Result<Vec<Record>, DnsFailure> {
    let failed = |reason: String| DnsFailure { name: name.to_owned(), kind: text, reason };
    let mut absolute = Name::from_ascii(name).map_err(|error| failed(error.to_string()))?;
    absolute.set_fqdn(true);
    match resolver.lookup(absolute, kind).await {
        Ok(found) => Ok(found.answers().to_vec()),
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
        // A small server of a private network, which knows of no zones.
        Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::NotImp))) if kind == RecordType::NS => Ok(Vec::new()),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The name one label up; none above a top-level domain.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}
