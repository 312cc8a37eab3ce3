//! `gatehouse audit`: who did what, as the running gateway tells of it; an export; and whether the log is whole, which without a
//! gateway is read from the store itself.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::api;
use super::client::{Asked, Most, items, moment, table, text};
use super::settings::{Output, Settings, WrongUsage};
use crate::admin::checked_json;
use crate::config::Config;
use crate::store::{Embedded, Link, check_log};

/// Who did what to whom, the newest first
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  gatehouse audit --tenant acme\n  gatehouse audit --action \"tenant.*\" --limit 20\n  gatehouse audit --actor ada --from 2026-11-01T00:00:00Z -o json\n  gatehouse audit export --tenant acme > audit.ndjson\n  gatehouse audit verify"
)]
pub(super) struct Audit {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    most: Most,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
    Export(Export),
}

/// Which rows.
#[derive(Debug, Args)]
struct Wanted {
    /// Id or slug of a tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The name of an operator, admin, loopback, system, …
    #[arg(long)]
    actor: Option<String>,
    /// Such as tenant.created; tenant.* is every action on tenants
    #[arg(long)]
    action: Option<String>,
    /// Rows of this time and later: 2026-11-01T00:00:00Z, or epoch milliseconds
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Rows before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// What one request did, by its X-Request-Id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
}

/// Writes the rows as NDJSON, oldest first, each line as it is stored and hashed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse audit export > audit.ndjson\n  gatehouse audit export --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z"
)]
struct Export {
    #[command(flatten)]
    wanted: Wanted,
    /// The admin listener; without it the one of the configuration
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Recompute the chain of hashes over the whole log: exit code 1 where a row was changed, left out or put in
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse audit verify\n  gatehouse audit verify --head 1042:9f86d08…      the log still has what it had when this was printed"
)]
struct Verify {
    /// What an earlier call printed as the head, kept elsewhere: the log must still have it
    #[arg(long, value_name = "SEQUENCE:HASH")]
    head: Option<String>,
    /// The admin API of a running gateway; without it the listener of the configuration, and where nobody listens there, the store itself
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// How it is shown
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: Settings,
}

impl Audit {
    pub fn execute(self) -> anyhow::Result<()> {
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        match self.verb {
            Some(Verb::Verify(verify)) => runtime()?.block_on(verify.execute()),
            Some(Verb::Export(export)) => runtime()?.block_on(export.execute()),
            None => {
                let filters = self.wanted.filters();
                self.asked.show(&self.settings, async |client| client.list("/admin/audit", &filters, &self.most).await, list)?;
                Ok(())
            }
        }
    }
}

impl Wanted {
    fn filters(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("tenant", self.tenant.as_deref()),
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("requestId", self.request.as_deref()),
        ]
    }
}

impl Export {
    async fn execute(self) -> anyhow::Result<()> {
        let config = self.settings.load()?;
        let address = api::address(self.admin.as_deref(), &config)?;
        let mut query = url::form_urlencoded::Serializer::new("/admin/audit?format=ndjson&".to_owned());
        for (name, value) in self.wanted.filters() {
            value.iter().for_each(|value| _ = query.append_pair(name, value));
        }
        let mut out = std::io::stdout().lock();
        let write = |piece: &[u8]| Ok(out.write_all(piece)?);
        match api::transfer(address, (Method::GET, &query.finish()), api::token(&config), None, None, write).await? {
            None => bail!("no gateway listens on {address}; name its admin listener with --admin"),
            Some((status, _)) if status.is_success() => Ok(out.flush()?),
            Some((status, refusal)) => {
                let problem: Value = serde_json::from_slice(&refusal).unwrap_or(Value::Null);
                bail!("{status}: {}", problem["detail"].as_str().unwrap_or("the admin API refuses"))
            }
        }
    }
}

impl Verify {
    async fn execute(self) -> anyhow::Result<()> {
        let kept = match self.head.as_deref().map(str::parse::<Link>).transpose() {
            Ok(kept) => kept,
            Err(error) => bail!(WrongUsage(format!("--head: {error}"))),
        };
        let config = self.settings.load()?;
        let address = api::address(self.admin.as_deref(), &config)?;
        let path = kept.as_ref().map_or_else(|| "/admin/audit/verify".to_owned(), |kept| format!("/admin/audit/verify?head={kept}"));
        let mut source = format!("asked http://{address}");
        let document = match api::get(address, &path, api::token(&config)).await? {
            Some(answer) if answer.body["whole"].is_boolean() => answer.body,
            Some(answer) => bail!("{address} answers {}: {}", answer.status, text(&answer.body["detail"])),
            None if self.admin.is_some() => bail!("nobody listens on {address}"),
            None => {
                source = format!("no gateway answers on {address}; read {}", config.store.path.display());
                offline(&config, kept.as_ref()).await.with_context(|| {
                    format!("no gateway answers on {address}, so the store is read (`-c` and `--set store.path=…` say which)")
                })?
            }
        };
        super::remark(&source);
        super::print(&match self.output {
            Output::Json => format!("{document}\n"),
            Output::Table => verdict(&document),
        })?;
        if document["whole"] == true { Ok(()) } else { bail!("the audit log is not whole") }
    }
}

/// From the files, which nobody uses meanwhile.
async fn offline(config: &Config, kept: Option<&Link>) -> anyhow::Result<Value> {
    let path = config.store.path.clone();
    if !path.exists() {
        bail!("there is no store in {}", path.display());
    }
    let store = tokio::task::spawn_blocking(move || Embedded::open(&path)).await??;
    Ok(checked_json(&check_log(&store, kept).await?))
}

fn verdict(document: &Value) -> String {
    let verdict = if document["whole"] == true { "the log is whole" } else { "the log is not whole" };
    let mut shown = format!("{verdict}: {} rows\n{:12} {}\n", document["rows"], "head", text(&document["head"]));
    if document["unchained"] != 0 {
        shown += &format!("{:12} {} rows of versions without a chain, of which nothing can be said\n", "before it", document["unchained"]);
    }
    items(&document["problems"]).for_each(|problem| shown += &format!("{:12} {}\n", "problem", text(problem)));
    shown
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|row| {
        let after = if row["after"].is_null() { "-".to_owned() } else { row["after"].to_string() };
        [moment(&row["time"]), text(&row["actor"]), text(&row["action"]), text(&row["tenantId"]), text(&row["reason"]), after]
    });
    table(["TIME", "ACTOR", "ACTION", "TENANT", "REASON", "AFTER"], rows)
}
