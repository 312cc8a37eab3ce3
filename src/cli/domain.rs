//! `gatehouse domain`: the tenants' own domains as the running gateway tells of them.

use anyhow::bail;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, day, items, moment, segment, sheet, table, text};
use super::settings::Settings;

/// How the tenants' own domains stand, and what to do about those that are stuck
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse domain list --status stuck\n  gatehouse domain list --status expiring -o json\n  gatehouse domain show shop.acme.com\n  gatehouse domain add acme shop.acme.com\n  gatehouse domain verify shop.acme.com      look at its DNS records now"
)]
pub(super) struct Domain {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
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
    /// Claims a domain for a tenant; tells which DNS records it needs
    Add {
        /// Id or slug of the tenant
        tenant: String,
        /// The domain
        domain: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Orders a new certificate, though the one that is there is good for a while
    Renew {
        /// The domain
        domain: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Takes a domain from its tenant, with its certificate
    Remove {
        /// The domain
        domain: String,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Verb {
    const fn settings(&self) -> &Settings {
        match self {
            Self::List { settings, .. }
            | Self::Show { settings, .. }
            | Self::Verify { settings, .. }
            | Self::Add { settings, .. }
            | Self::Renew { settings, .. }
            | Self::Remove { settings, .. } => settings,
        }
    }
}

impl Domain {
    pub fn execute(self) -> anyhow::Result<()> {
        let ask = async |client: Client| match &self.verb {
            Verb::List { status, .. } => Ok(Value::Array(client.all("/admin/domains", &[("status", status.as_deref())]).await?)),
            Verb::Show { domain, .. } => find(&client, domain).await,
            Verb::Verify { domain, .. } => act(&client, Method::POST, domain, "/verify").await,
            Verb::Renew { domain, .. } => act(&client, Method::POST, domain, "/renew").await,
            Verb::Remove { domain, .. } => act(&client, Method::DELETE, domain, "").await,
            Verb::Add { tenant, domain, .. } => {
                let path = format!("/admin/tenants/{}/domains", segment(tenant));
                client.send(Method::POST, &path, Some(&json!({"domain": domain}))).await
            }
        };
        let told = self.asked.show(self.verb.settings(), ask, |told| if told.is_array() { list(told) } else { shown(told) })?;
        if matches!(self.verb, Verb::Verify { .. }) && told["verified"] == false {
            bail!("it is not proved yet");
        }
        Ok(())
    }
}

/// One domain, whoever's it is.
async fn find(client: &Client, domain: &str) -> anyhow::Result<Value> {
    let name = crate::model::Host::parse(domain)?;
    client.get(&format!("/admin/domains/{name}")).await
}

/// Something is done with a domain, whoever's it is.
async fn act(client: &Client, method: Method, domain: &str, action: &str) -> anyhow::Result<Value> {
    let found = find(client, domain).await?;
    let path = format!("/admin/tenants/{}/domains/{}{action}", text(&found["tenantId"]), text(&found["domain"]));
    client.send(method, &path, None).await
}

fn list(domains: &Value) -> String {
    let rows = items(domains).map(|it| {
        let risk = if it["status"] == "serving" && !it["needsActionBy"].is_null() { " (at risk)" } else { "" };
        let ends = day(&it["certificate"]["notAfter"]);
        [text(&it["domain"]), text(&it["status"]) + risk, text(&it["certificate"]["state"]), ends, text(&it["reason"])]
    });
    table(["DOMAIN", "STATUS", "CERTIFICATE", "ENDS", "REASON"], rows)
}

fn shown(domain: &Value) -> String {
    let (hostname, certificate) = (&domain["hostname"], &domain["certificate"]);
    let facts = [
        ("domain", text(&domain["domain"])),
        ("tenant", text(&domain["tenantSlug"])),
        ("status", text(&domain["status"])),
        ("needs", text(&domain["needsActionBy"])),
        ("hostname", text(&hostname["state"])),
        ("lapses", moment(&hostname["lapsesAt"])),
        ("certificate", text(&certificate["state"])),
        ("ends", moment(&certificate["notAfter"])),
        ("renewal", moment(&certificate["renewAt"])),
        ("hsts", domain["hstsMaxAge"].as_u64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))),
        ("reason", text(&domain["reason"])),
        ("detail", text(&domain["detail"])),
        ("next step", text(&domain["nextStep"])),
        ("tried again", moment(&domain["retryAt"])),
    ];
    let mut shown = sheet(&facts);
    for record in domain["records"].as_array().into_iter().flatten() {
        shown.push_str(&format!("{:12} {} {} {}\n", "records", text(&record["name"]), text(&record["type"]), text(&record["value"])));
    }
    shown
}
