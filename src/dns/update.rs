//! Updates of a zone (RFC 2136), signed with a key that its server knows (TSIG, RFC 8945).

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::op::{Message, ResponseCode, update_message};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::rdata::tsig::TsigAlgorithm as Algorithm;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordSet, RecordType, TSigner};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::{Clock, SystemClock};
use crate::config::{Dns01, TsigAlgorithm};
use crate::model::Host;

const PATIENCE: Duration = Duration::from_secs(10);
/// How far clocks may differ, in seconds (RFC 8945, section 10).
const FUDGE: u16 = 300;
const TTL: u32 = 30;

/// Sets and removes TXT records of one zone.
pub struct Updater {
    server: SocketAddr,
    zone: Name,
    signer: TSigner,
}

/// A zone was not updated.
#[derive(Debug, thiserror::Error)]
#[error("{server} does not take the update of {zone}: {reason}")]
pub struct UpdateError {
    server: SocketAddr,
    zone: String,
    reason: String,
}

impl Updater {
    /// For the zone of the configuration, else that of `base_domain`.
    pub fn new(config: &Dns01, base_domain: &Host) -> Result<Self, UpdateError> {
        let zone = config.zone.as_ref().unwrap_or(base_domain);
        let failed = |reason: String| UpdateError { server: config.server, zone: zone.to_string(), reason };
        let secret = STANDARD.decode(config.secret.expose_secret()).map_err(|error| failed(error.to_string()))?;
        let name = absolute(&config.key_name).map_err(|error| failed(error.to_string()))?;
        let algorithm = match config.algorithm {
            TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
            TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
            TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
        };
        let signer = TSigner::new(secret, algorithm, name, FUDGE).map_err(|error| failed(error.to_string()))?;
        let zone = absolute(zone.as_str()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { server: config.server, zone, signer })
    }

    /// Adds a TXT record beside those that are there.
    pub async fn add_text(&self, name: &str, value: &str) -> Result<(), UpdateError> {
        let record = self.record(name, value)?;
        self.send(update_message::append(record, self.zone.clone(), false, false)).await
    }

    /// Takes it away again.
    pub async fn remove_text(&self, name: &str, value: &str) -> Result<(), UpdateError> {
        let record = self.record(name, value)?;
        self.send(update_message::delete_by_rdata(record, self.zone.clone(), false)).await
    }

    fn record(&self, name: &str, value: &str) -> Result<RecordSet, UpdateError> {
        let name = absolute(name).map_err(|error| self.failed(error.to_string()))?;
        if !self.zone.zone_of(&name) {
            return Err(self.failed(format!("{name} is not in it")));
        }
        let mut set = RecordSet::new(name.clone(), RecordType::TXT, 0);
        set.insert(Record::from_rdata(name, TTL, RData::TXT(TXT::new(vec![value.to_owned()]))), 0);
        Ok(set)
    }

    async fn send(&self, mut update: Message) -> Result<(), UpdateError> {
        let now = u64::try_from(SystemClock.now().0 / 1000).unwrap_or_default();
        let verifier = update.finalize(&self.signer, now).map_err(|error| self.failed(error.to_string()))?;
        let octets = update.to_vec().map_err(|error| self.failed(error.to_string()))?;
        let asked = timeout(PATIENCE, self.ask(&octets)).await;
        let answer =
            asked.map_err(|_| self.failed("it does not answer in time".to_owned()))?.map_err(|error| self.failed(error.to_string()))?;
        // A server that does not know the key cannot sign; what it says is then told as it is.
        let refused = Message::from_vec(&answer).map(|message| message.response_code).map_err(|error| self.failed(error.to_string()))?;
        if refused != ResponseCode::NoError {
            return Err(self.failed(refused.to_string()));
        }
        if let Some(mut verifier) = verifier {
            verifier.verify(&answer).map_err(|error| self.failed(format!("its answer is not signed by it: {error}")))?;
        }
        Ok(())
    }

    /// Over TCP, where nobody can answer in the server's place without being on the way.
    async fn ask(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.server).await?;
        let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    fn failed(&self, reason: String) -> UpdateError {
        UpdateError { server: self.server, zone: self.zone.to_string(), reason }
    }
}

fn absolute(name: &str) -> Result<Name, ProtoError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}
