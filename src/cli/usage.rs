//! `gatehouse usage verify`: whether every call that took a place is accounted for. Asks the gateway that runs; else it reads
//! store and journal itself.

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::StatusCode;
use serde_json::{Value, json};

use super::api;
use super::settings::{Output, Settings};
use crate::admin::balance_json;
use crate::config::Config;
use crate::metering::{Balance, Counted, left_rows, verify};
use crate::model::TenantId;
use crate::store::{Embedded, Key, Store, Table};

/// Look at what was counted
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gatehouse usage verify            all tenants\n  gatehouse usage verify acme -o json")]
pub(super) struct Usage {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Recompute admitted = metered + given back + aborted + in flight over store and journal: exit code 1 where it does not close
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse usage verify\n  gatehouse usage verify acme -o json\n  gatehouse usage verify --admin http://127.0.0.1:3000"
)]
struct Verify {
    /// Id or slug of one tenant; without it, all
    tenant: Option<String>,
    /// The admin API of a running gateway; without it the listener of the configuration, and where nobody listens there, the store itself
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// How the sums are written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: Settings,
}

impl Usage {
    pub fn execute(self) -> anyhow::Result<()> {
        let Verb::Verify(verify) = self.verb;
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(verify.execute())
    }
}

impl Verify {
    async fn execute(self) -> anyhow::Result<()> {
        let config = self.settings.load()?;
        let address = api::address(self.admin.as_deref(), &config)?;
        let path = match &self.tenant {
            Some(tenant) => {
                format!("/admin/tenants/{}/usage/verify", url::form_urlencoded::byte_serialize(tenant.as_bytes()).collect::<String>())
            }
            None => "/admin/usage/verify".to_owned(),
        };
        let mut source = format!("asked http://{address}");
        let document = match api::get(address, &path, api::token(&config)).await? {
            Some(answer) if answer.body["closes"].is_boolean() => answer.body,
            Some(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                bail!("{address} wants the admin token: set admin.token in the configuration, or GATEHOUSE_ADMIN_TOKEN")
            }
            Some(answer) => match answer.body["detail"].as_str() {
                Some(detail) => bail!("{address} answers {}: {detail}", answer.status),
                None => bail!("{address} answers {}, and not as the admin API of gatehouse does", answer.status),
            },
            None if self.admin.is_some() => bail!("nobody listens on {address}"),
            None => {
                source = format!(
                    "no gateway answers on {address}; read {} and {}",
                    config.store.path.display(),
                    config.metering.journal.display()
                );
                self.offline(&config).await.with_context(|| {
                    format!("no gateway answers on {address}, so the store is read (`-c` and `--set store.path=…` say which)")
                })?
            }
        };
        super::remark(&source);
        let closes = document["closes"] == true;
        super::print(&match self.output {
            Output::Json => format!("{document}\n"),
            Output::Table => table(&document),
        })?;
        if closes { Ok(()) } else { bail!("the sums do not close") }
    }

    /// From the files, which nobody uses meanwhile.
    async fn offline(&self, config: &Config) -> anyhow::Result<Value> {
        let path = config.store.path.clone();
        if !path.exists() {
            bail!("there is no store in {}", path.display());
        }
        let store = tokio::task::spawn_blocking(move || Embedded::open(&path)).await??;
        let tenant = match &self.tenant {
            Some(name) => Some(tenant_id(&store, name).await?.with_context(|| format!("there is no tenant `{name}`"))?),
            None => None,
        };
        let counted = Counted::Left(left(&config.metering.journal)?);
        let balances = verify(&store, counted, tenant).await?;
        let sum = balances.values().fold(Balance::default(), Balance::plus);
        let mut document = balance_json(&sum);
        match tenant {
            Some(tenant) => document["tenantId"] = json!(tenant),
            None => document["tenants"] = json!(balances.len()),
        }
        Ok(document)
    }
}

fn left(journal: &Path) -> anyhow::Result<Vec<crate::store::UsageRow>> {
    if journal.exists() { Ok(left_rows(journal)?) } else { Ok(Vec::new()) }
}

async fn tenant_id(store: &Embedded, name: &str) -> anyhow::Result<Option<TenantId>> {
    if let Ok(id) = name.parse::<TenantId>() {
        return Ok(Some(id));
    }
    let record = store.get(&Key::new(Table::Slugs, name)).await?;
    record.map(|record| Ok(String::from_utf8_lossy(&record.value).parse::<TenantId>()?)).transpose()
}

/// The sums as people read them.
fn table(document: &Value) -> String {
    let rows = [
        ("admitted", "admitted"),
        ("= metered", "metered"),
        ("+ given back", "givenBack"),
        ("+ aborted", "aborted"),
        ("+ in flight", "inFlight"),
        ("unexplained", "unexplained"),
        ("store ahead of journal", "ahead"),
    ];
    let mut text: String = rows.iter().map(|(name, member)| format!("{name:<24}{:>16}\n", document[*member].to_string())).collect();
    let verdict = if document["closes"] == true { "the sums close" } else { "the sums do not close" };
    text += &match document["tenants"].as_u64() {
        Some(tenants) => format!("{verdict}, over {} slots of {tenants} tenants\n", document["slots"]),
        None => format!("{verdict}, over {} slots of {}\n", document["slots"], document["tenantId"].as_str().unwrap_or_default()),
    };
    for open in document["open"].as_array().into_iter().flatten() {
        text += &format!("does not close: {open}\n");
    }
    text
}
