//! A table of requests and what each shall get, asked over HTTP/1.1 and HTTP/2.

use super::client::Answer;
use super::gateway::TestGateway;

/// What a request shall get.
#[derive(Debug, Clone)]
pub enum Want {
    /// The echoing app answers it for this tenant.
    App(&'static str),
    /// The gateway refuses it with this status and code.
    Refused(u16, &'static str),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Case {
    pub sni: String,
    pub host: String,
    pub fields: Vec<(String, String)>,
    pub want: Want,
}

/// A request with its host in SNI as well.
pub fn case(host: &str, want: Want) -> Case {
    Case { sni: host.to_owned(), host: host.to_owned(), fields: Vec::new(), want }
}

impl Case {
    /// Another name in SNI than in Host.
    pub fn sni(mut self, sni: &str) -> Self {
        sni.clone_into(&mut self.sni);
        self
    }

    /// With a field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Asks on a connection of its own and over both protocols; every wrong answer is told.
    async fn over_tls(&self, gateway: &TestGateway) -> Vec<String> {
        let over_http1 = gateway.tls(&self.sni).await.ask(self.http1()).await;
        let over_http2 = gateway.h2(&self.sni).await.get(&self.host, "/", &self.fields()).await;
        self.faults("HTTP/1.1", &over_http1).chain(self.faults("h2", &over_http2)).collect()
    }

    /// The request in HTTP/1.1.
    pub fn http1(&self) -> String {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host)
    }

    fn faults(&self, protocol: &str, answer: &Answer) -> impl Iterator<Item = String> + use<> {
        let found = answer.clone();
        let is_right = match self.want {
            Want::App(slug) => found.status == 200 && found.json()["headers"]["x-tenant-slug"] == serde_json::json!([slug]),
            Want::Refused(status, code) => found.status == status && found.json()["code"] == code,
        };
        (!is_right).then(|| format!("{protocol}: {self:?} got {} {}", answer.status, answer.text())).into_iter()
    }
}

/// Asks every case over TLS.
pub async fn all_over_tls(gateway: &TestGateway, cases: &[Case]) {
    let mut faults = Vec::new();
    for case in cases {
        faults.extend(case.over_tls(gateway).await);
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), 2 * cases.len(), faults.join("\n"));
}

/// Asks every case in clear, all on one connection as long as it stays open.
pub async fn all_in_clear(gateway: &TestGateway, cases: &[Case]) {
    let mut faults = Vec::new();
    let mut wire = gateway.plain().await;
    for case in cases {
        let answer = wire.ask(case.http1()).await;
        faults.extend(case.faults("clear", &answer));
        if answer.header("connection") == "close" {
            wire = gateway.plain().await;
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}
