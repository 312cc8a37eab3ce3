//! `gatehouse usage`: what a tenant has used, as the running gateway tells of it; and whether every call that took a place is
//! accounted for, for which store and journal are read where no gateway runs.

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::StatusCode;
use serde_json::{Value, json};

use super::api;
use super::client::{Asked, Client, items, moment, segment, sheet, table as columns, text};
use super::settings::{Output, Settings};
use crate::admin::balance_json;
use crate::config::Config;
use crate::metering::{Balance, Counted, left_rows, verify};
use crate::model::TenantId;
use crate::store::{Embedded, Key, Store, Table};

/// What was used, and whether every call is accounted for
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse usage show acme\n  gatehouse usage daily acme --period 2026-11 -o json\n  gatehouse usage verify            all tenants"
)]
pub(super) struct Usage {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What a tenant has used in a month
    Show(Month),
    /// The same day by day; days without any are left out
    Daily(Month),
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Month {
    /// Id or slug of the tenant
    tenant: String,
    /// Such as 2026-11; this month where it is not said
    #[arg(long, value_name = "MONTH")]
    period: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Recompute admitted = metered + given back + aborted + in flight over store and journal: exit code 1 where it does not close
///
/// Without --admin, and where nobody listens on the admin listener of the configuration, the store itself is read.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse usage verify\n  gatehouse usage verify acme -o json\n  gatehouse usage verify --admin http://127.0.0.1:3000"
)]
struct Verify {
    /// Id or slug of one tenant; without it, all
    tenant: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

impl Usage {
    pub fn execute(self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Show(month) => {
                let path = month.path("usage");
                self.asked.show(&month.settings, async |client: Client| client.get(&path).await, shown)?;
            }
            Verb::Daily(month) => {
                let path = month.path("usage/daily");
                self.asked.show(&month.settings, async |client: Client| Ok(client.get(&path).await?["data"].take()), days)?;
            }
            Verb::Verify(verify) => {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                runtime.block_on(verify.execute(&self.asked))?;
            }
        }
        Ok(())
    }
}

impl Month {
    fn path(&self, what: &str) -> String {
        let period = self.period.as_ref().map(|period| format!("?period={}", segment(period)));
        format!("/admin/tenants/{}/{what}{}", segment(&self.tenant), period.unwrap_or_default())
    }
}

impl Verify {
    async fn execute(&self, asked: &Asked) -> anyhow::Result<()> {
        let config = self.settings.load()?;
        let address = api::address(asked.admin.as_deref(), &config)?;
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
            None if asked.admin.is_some() => bail!("nobody listens on {address}"),
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
        super::print(&match asked.output {
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

fn shown(it: &Value) -> String {
    let of = |member: &str| text(&it[member]);
    // What is nothing beyond the plan is left out.
    let over = |member: &str| it["overage"][member].as_u64().filter(|over| *over > 0).map_or("-".to_owned(), |over| over.to_string());
    sheet(&[
        ("period", of("period")),
        ("api calls", of("apiCalls")),
        ("today", of("apiCallsToday")),
        ("rejected", of("rejected")),
        ("bytes out", of("bandwidth")),
        ("bytes in", of("ingress")),
        ("storage", of("storage")),
        ("users", of("users")),
        ("projects", of("projects")),
        ("active users", of("activeUsers")),
        ("calls over", over("apiCalls")),
        ("bytes over", over("bandwidth")),
        ("storage over", over("storage")),
        ("as of", moment(&it["timestamp"])),
    ])
}

fn days(told: &Value) -> String {
    let rows = items(told).map(|day| ["date", "apiCalls", "rejected", "bandwidth", "ingress"].map(|member| text(&day[member])));
    columns(["DAY", "API CALLS", "REJECTED", "BYTES OUT", "BYTES IN"], rows)
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
