//! `gatehouse plan`: the catalogue, and moving tenants from one version of a plan to another.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, day, items, money, segment, table, text};
use super::settings::Settings;

/// The catalogue of plans, and moving tenants between versions of one
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse plan list\n  gatehouse plan show pro                            all its versions, and how many tenants have each\n  gatehouse plan move pro --dry-run                  what each tenant would be charged\n  gatehouse plan move pro --from 1 --to 2"
)]
pub(super) struct Plan {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Plans that are offered, the cheapest first
    List {
        #[command(flatten)]
        settings: Settings,
    },
    /// Every version of a plan, the newest first
    Show {
        /// Its name
        plan: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Moves every tenant of a plan to its newest version, or to another; exit code 1 where one could not be moved
    Move(Move),
}

#[derive(Debug, Args)]
struct Move {
    /// Name of the plan
    plan: String,
    /// The version that they come to; the newest by default
    #[arg(long)]
    to: Option<u32>,
    /// Only tenants that have this version
    #[arg(long)]
    from: Option<u32>,
    /// Moves nobody, and shows what each would be charged
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Plan {
    pub fn execute(self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::List { settings } => {
                let ask = async |client: Client| Ok(client.get("/admin/plans").await?["data"].take());
                self.asked.show(settings, ask, list)?;
            }
            Verb::Show { plan, settings } => {
                let path = format!("/admin/plans/{}", segment(plan));
                let ask = async |client: Client| Ok(client.get(&path).await?["versions"].take());
                self.asked.show(settings, ask, versions)?;
            }
            Verb::Move(wanted) => {
                let told = self.asked.show(&wanted.settings, async |client| wanted.all(&client).await, moved)?;
                let failed = items(&told).filter(|it| it["outcome"] == "failed").count();
                if failed > 0 {
                    bail!("{failed} of {} tenants could not be moved", items(&told).count());
                }
            }
        }
        Ok(())
    }
}

impl Move {
    /// Each tenant, and what becomes of it.
    async fn all(&self, client: &Client) -> anyhow::Result<Value> {
        let plan = client.get(&format!("/admin/plans/{}", segment(&self.plan))).await?;
        let known = |version: &u64| items(&plan["versions"]).any(|it| it["version"] == *version);
        let newest = plan["versions"][0]["version"].as_u64().context("the plan has no version")?;
        let to = self.to.map_or(newest, u64::from);
        if !known(&to) {
            bail!("the plan `{}` has no version {to}; its newest is {newest}", self.plan);
        }
        let mut rows = Vec::new();
        for tenant in client.all("/admin/tenants", &[("plan", Some(self.plan.as_str()))]).await? {
            let version = tenant["planVersion"].as_u64().unwrap_or(0);
            if version == to || self.from.is_some_and(|from| u64::from(from) != version) {
                continue;
            }
            let mut row = json!({"tenant": tenant["slug"], "tenantId": tenant["id"], "from": version, "to": to});
            if let Err(error) = self.one(client, &tenant, to, &mut row).await {
                (row["outcome"], row["detail"]) = (json!("failed"), json!(format!("{error:#}")));
            }
            rows.push(row);
        }
        Ok(Value::Array(rows))
    }

    /// What it would be charged first, and then exactly that.
    async fn one(&self, client: &Client, tenant: &Value, to: u64, row: &mut Value) -> anyhow::Result<()> {
        let skip = match (tenant["status"].as_str(), tenant["pendingChange"].is_null()) {
            (Some("canceled"), _) => Some("it is canceled"),
            (_, false) => Some("another change is pending, which this would undo"),
            _ => None,
        };
        if let Some(reason) = skip {
            (row["outcome"], row["detail"]) = (json!("skipped"), json!(reason));
            return Ok(());
        }
        let path = format!("/admin/tenants/{}/subscription", text(&tenant["id"]));
        let mut body = json!({"plan": self.plan, "planVersion": to, "billingCycle": tenant["billingCycle"]});
        let preview = client.send(Method::PUT, &format!("{path}?dryRun=true"), Some(&body)).await?;
        for member in ["total", "totalMinor", "currency", "effectiveAt"] {
            row[member] = preview[member].clone();
        }
        row["outcome"] = json!("would be moved");
        if !self.dry_run {
            body["quote"] = preview["quote"].clone();
            client.send(Method::PUT, &path, Some(&body)).await?;
            row["outcome"] = json!("moved");
        }
        Ok(())
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|it| {
        let [monthly, yearly] = ["priceMonthlyMinor", "priceYearlyMinor"].map(|member| money(&it[member], &it["currency"]));
        [text(&it["name"]), text(&it["version"]), monthly, yearly, limit(it, "maxUsers"), limit(it, "maxApiCalls"), text(&it["source"])]
    });
    table(["PLAN", "VERSION", "MONTHLY", "YEARLY", "USERS", "CALLS A DAY", "SOURCE"], rows)
}

fn versions(told: &Value) -> String {
    let rows = items(told).map(|it| {
        let [monthly, yearly] = ["priceMonthlyMinor", "priceYearlyMinor"].map(|member| money(&it[member], &it["currency"]));
        let [version, offered, tenants, source] = ["version", "isOffered", "tenants", "source"].map(|member| text(&it[member]));
        [version, offered, tenants, monthly, yearly, limit(it, "maxUsers"), limit(it, "maxApiCalls"), source, day(&it["createdAt"])]
    });
    table(["VERSION", "OFFERED", "TENANTS", "MONTHLY", "YEARLY", "USERS", "CALLS A DAY", "SOURCE", "SINCE"], rows)
}

fn moved(told: &Value) -> String {
    if items(told).next().is_none() {
        return "nobody has another version of it\n".to_owned();
    }
    let rows = items(told).map(|it| {
        let step = format!("v{} -> v{}", it["from"], it["to"]);
        let [tenant, outcome, detail] = ["tenant", "outcome", "detail"].map(|member| text(&it[member]));
        [tenant, step, money(&it["totalMinor"], &it["currency"]), day(&it["effectiveAt"]), outcome, detail]
    });
    table(["TENANT", "VERSION", "CHARGED NOW", "TAKES EFFECT", "OUTCOME", "DETAIL"], rows)
}

fn limit(plan: &Value, name: &str) -> String {
    plan["limits"][name].as_u64().map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}
