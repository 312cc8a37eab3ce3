//! `gatehouse domain`: the tenants' own domains as the running gateway tells of them.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::Value;

use super::api;
use super::settings::{Output, Settings};

/// How the tenants' own domains stand, and what to do about those that are stuck
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse domain list --status stuck\n  gatehouse domain list --status expiring -o json\n  gatehouse domain show shop.acme.com\n  gatehouse domain verify shop.acme.com      look at its DNS records now"
)]
pub(super) struct Domain {
    #[command(subcommand)]
    verb: Verb,
    /// The admin listener; without it the one of the configuration
    #[arg(long, value_name = "URL", global = true)]
    admin: Option<String>,
    /// How it is shown
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All domains, or those that stand in one way
    List {
        /// serving, in_progress, stuck, at_risk (served, and needs someone) or expiring
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// One domain: how it stands, what is in the way, which records it needs
    Show {
        /// The domain
        domain: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Looks at its DNS records now, and orders a certificate where they are right; exit code 1 while it is not proved
    Verify {
        /// The domain
        domain: String,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Domain {
    pub fn execute(self) -> anyhow::Result<()> {
        let (Verb::List { settings, .. } | Verb::Show { settings, .. } | Verb::Verify { settings, .. }) = &self.verb;
        let config = settings.load()?;
        let address = api::address(self.admin.as_deref(), &config)?;
        let client = Client { address, token: api::token(&config).to_owned() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(async {
            match &self.verb {
                Verb::List { status, .. } => client.list(status.as_deref()).await,
                Verb::Show { domain, .. } => client.find(domain).await,
                Verb::Verify { domain, .. } => {
                    let found = client.find(domain).await?;
                    let path = format!("/admin/tenants/{}/domains/{}/verify", text(&found["tenantId"]), text(&found["domain"]));
                    client.call(Method::POST, &path).await
                }
            }
        })?;
        let shown = match (self.output, &told) {
            (Output::Json, _) => format!("{}\n", serde_json::to_string_pretty(&told)?),
            (Output::Table, Value::Array(domains)) => table(domains),
            (Output::Table, domain) => sheet(domain),
        };
        super::print(&shown)?;
        if matches!(self.verb, Verb::Verify { .. }) && told["verified"] == false {
            bail!("it is not proved yet");
        }
        Ok(())
    }
}

/// The admin API of one gateway.
struct Client {
    address: std::net::SocketAddr,
    token: String,
}

impl Client {
    /// All pages.
    async fn list(&self, status: Option<&str>) -> anyhow::Result<Value> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", "500");
            for (name, value) in [("status", status), ("cursor", cursor.as_deref())] {
                value.iter().for_each(|value| _ = query.append_pair(name, value));
            }
            let page = self.call(Method::GET, &format!("/admin/domains?{}", query.finish())).await?;
            all.extend(page["data"].as_array().cloned().unwrap_or_default());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    /// One domain, whoever's it is.
    async fn find(&self, domain: &str) -> anyhow::Result<Value> {
        let name = crate::model::Host::parse(domain)?;
        self.call(Method::GET, &format!("/admin/domains/{name}")).await
    }

    async fn call(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let answer = api::call(self.address, method, path, &self.token).await?;
        let answer = answer.with_context(|| format!("no gateway listens on {}; name its admin listener with --admin", self.address))?;
        if answer.status != StatusCode::OK {
            bail!("{}: {}", answer.status, answer.body["detail"].as_str().unwrap_or("the admin API refuses"));
        }
        Ok(answer.body)
    }
}

fn table(domains: &[Value]) -> String {
    let head = ["DOMAIN", "STATUS", "CERTIFICATE", "ENDS", "REASON"].map(str::to_owned);
    let rows = domains.iter().map(|it| {
        let ends = it["certificate"]["notAfter"].as_i64().map_or_else(|| "-".to_owned(), day);
        let risk = if it["status"] == "serving" && !it["needsActionBy"].is_null() { " (at risk)" } else { "" };
        [text(&it["domain"]), text(&it["status"]) + risk, text(&it["certificate"]["state"]), ends, text(&it["reason"])]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn sheet(domain: &Value) -> String {
    let (hostname, certificate) = (&domain["hostname"], &domain["certificate"]);
    let at = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), moment);
    let facts = [
        ("domain", text(&domain["domain"])),
        ("tenant", text(&domain["tenantSlug"])),
        ("status", text(&domain["status"])),
        ("needs", text(&domain["needsActionBy"])),
        ("hostname", text(&hostname["state"])),
        ("lapses", at(&hostname["lapsesAt"])),
        ("certificate", text(&certificate["state"])),
        ("ends", at(&certificate["notAfter"])),
        ("renewal", at(&certificate["renewAt"])),
        ("hsts", domain["hstsMaxAge"].as_u64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))),
        ("reason", text(&domain["reason"])),
        ("detail", text(&domain["detail"])),
        ("next step", text(&domain["nextStep"])),
        ("tried again", at(&domain["retryAt"])),
    ];
    let mut shown: String = facts.iter().filter(|(_, value)| value != "-").map(|(name, value)| format!("{name:12} {value}\n")).collect();
    for record in domain["records"].as_array().into_iter().flatten() {
        shown.push_str(&format!("{:12} {} {} {}\n", "records", text(&record["name"]), text(&record["type"]), text(&record["value"])));
    }
    shown
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), str::to_owned)
}

/// The UTC day of a moment.
fn day(millis: i64) -> String {
    crate::model::Millis(millis).day().to_string()
}

/// A moment in UTC, to the second.
fn moment(millis: i64) -> String {
    jiff::Timestamp::from_second(millis.div_euclid(1000)).map_or_else(|_| "-".to_owned(), |time| time.to_string())
}
