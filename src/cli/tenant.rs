//! `gatehouse tenant`: tenants and their life, as the running gateway tells of them and changes them.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Asked, Most, day, items, money, segment, sheet, table, text};
use super::settings::Settings;

/// Tenants: how they stand, and moving them through their life
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse tenant create acme --name \"Acme Corp\" --plan pro\n  gatehouse tenant list --status past_due\n  gatehouse tenant change acme --plan enterprise --cycle yearly --dry-run     what it would be charged\n  gatehouse tenant cancel acme --at-period-end --reason \"moves on\""
)]
pub(super) struct Tenant {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tenants, the newest first; without --status all but deleted ones
    List {
        /// trial, active, past_due, suspended, canceled or deleted
        #[arg(long)]
        status: Option<String>,
        /// Name of a plan
        #[arg(long)]
        plan: Option<String>,
        #[command(flatten)]
        most: Most,
        #[command(flatten)]
        settings: Settings,
    },
    /// One tenant
    Show(One),
    /// Creates a tenant
    Create {
        /// Its label under the base domain
        slug: String,
        /// What people call it; the slug by default
        #[arg(long)]
        name: Option<String>,
        /// Name of a plan
        #[arg(long)]
        plan: String,
        /// How often it pays
        #[arg(long, value_enum)]
        cycle: Option<Cycle>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Refuses its requests until further notice
    Suspend(Why),
    /// Serves it again, or ends its trial, or goes on after a cancel
    Activate(Why),
    /// Ends its subscription
    Cancel {
        #[command(flatten)]
        why: Why,
        /// Not before the period, or the trial, is over
        #[arg(long)]
        at_period_end: bool,
    },
    /// Undoes a delete
    Restore(Why),
    /// Takes it out of sight; it can be restored for a while
    Delete(One),
    /// Moves it to another plan or cycle
    Change {
        #[command(flatten)]
        one: One,
        /// Name of a plan
        #[arg(long)]
        plan: String,
        /// How often it pays; as before where it is not said
        #[arg(long, value_enum)]
        cycle: Option<Cycle>,
        /// Changes nothing, and shows what would be charged
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct One {
    /// Id or slug of the tenant
    tenant: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Why {
    #[command(flatten)]
    one: One,
    /// Kept with the tenant and in the audit log
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cycle {
    Monthly,
    Yearly,
}

impl Cycle {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }
}

impl Tenant {
    pub fn execute(self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::List { status, plan, most, settings } => {
                let filters = [("status", status.as_deref()), ("plan", plan.as_deref())];
                self.asked.show(settings, async |client| client.list("/admin/tenants", &filters, most).await, list)?;
            }
            Verb::Show(one) => self.call(&one.settings, Method::GET, &one.path(""), None)?,
            Verb::Create { slug, name, plan, cycle, settings } => {
                let mut body = json!({"slug": slug, "name": name.as_ref().unwrap_or(slug), "plan": plan});
                cycle.iter().for_each(|cycle| body["billingCycle"] = json!(cycle.as_str()));
                self.call(settings, Method::POST, "/admin/tenants", Some(body))?;
            }
            Verb::Suspend(why) => self.act(why, "/suspend", false)?,
            Verb::Activate(why) => self.act(why, "/activate", false)?,
            Verb::Restore(why) => self.act(why, "/restore", false)?,
            Verb::Cancel { why, at_period_end } => self.act(why, "/cancel", *at_period_end)?,
            Verb::Delete(one) => self.call(&one.settings, Method::DELETE, &one.path(""), None)?,
            Verb::Change { one, plan, cycle, dry_run } => self.change(one, plan, *cycle, *dry_run)?,
        }
        Ok(())
    }

    fn call(&self, settings: &Settings, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<()> {
        self.asked.show(settings, async |client| client.send(method, path, body.as_ref()).await, shown)?;
        Ok(())
    }

    fn act(&self, why: &Why, action: &str, at_period_end: bool) -> anyhow::Result<()> {
        let mut body = Map::new();
        why.reason.iter().for_each(|reason| _ = body.insert("reason".to_owned(), json!(reason)));
        if at_period_end {
            body.insert("atPeriodEnd".to_owned(), json!(true));
        }
        self.call(&why.one.settings, Method::POST, &why.one.path(action), Some(Value::Object(body)))
    }

    fn change(&self, one: &One, plan: &str, cycle: Option<Cycle>, dry_run: bool) -> anyhow::Result<()> {
        let ask = async |client: super::client::Client| {
            let current = client.get(&one.path("")).await?;
            let cycle = cycle.map_or_else(|| text(&current["billingCycle"]), |cycle| cycle.as_str().to_owned());
            let path = one.path(if dry_run { "/subscription?dryRun=true" } else { "/subscription" });
            client.send(Method::PUT, &path, Some(&json!({"plan": plan, "billingCycle": cycle}))).await
        };
        self.asked.show(&one.settings, ask, if dry_run { previewed } else { shown })?;
        Ok(())
    }
}

impl One {
    fn path(&self, below: &str) -> String {
        format!("/admin/tenants/{}{below}", segment(&self.tenant))
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|it| {
        let plan = format!("{} v{}", text(&it["plan"]), text(&it["planVersion"]));
        [
            text(&it["slug"]),
            text(&it["status"]),
            plan,
            text(&it["billingCycle"]),
            day(&it["currentPeriodEnd"]),
            money(&it["amountDueMinor"], &it["currency"]),
            text(&it["id"]),
        ]
    });
    table(["TENANT", "STATUS", "PLAN", "CYCLE", "PERIOD ENDS", "OWES", "ID"], rows)
}

fn shown(it: &Value) -> String {
    let pending = &it["pendingChange"];
    let change = pending["plan"].as_str().map_or_else(
        || "-".to_owned(),
        |plan| format!("{plan} v{} {}, on {}", text(&pending["planVersion"]), text(&pending["billingCycle"]), day(&pending["effectiveAt"])),
    );
    let ends = if it["cancelAtPeriodEnd"] == true { "with the period".to_owned() } else { "-".to_owned() };
    sheet(&[
        ("tenant", text(&it["slug"])),
        ("name", text(&it["name"])),
        ("id", text(&it["id"])),
        ("status", text(&it["status"])),
        ("reason", text(&it["statusReason"])),
        ("plan", format!("{} v{}, {}", text(&it["plan"]), text(&it["planVersion"]), text(&it["billingCycle"]))),
        ("trial ends", day(&it["trialEndsAt"])),
        ("period ends", day(&it["currentPeriodEnd"])),
        ("changes to", change),
        ("canceled", ends),
        ("owes", money(&it["amountDueMinor"], &it["currency"])),
        ("credit", money(&it["creditMinor"], &it["currency"])),
        ("domain", text(&it["customDomain"])),
        ("created", day(&it["createdAt"])),
        ("deleted", day(&it["deletedAt"])),
    ])
}

fn previewed(it: &Value) -> String {
    let line = |line: &Value| [text(&line["description"]), money(&line["amountMinor"], &it["currency"])];
    let over =
        items(&it["wouldExceed"]).map(|over| format!("{} ({} of {})", text(&over["resource"]), text(&over["used"]), text(&over["limit"])));
    let over: Vec<String> = over.collect();
    let mut all = match items(&it["lines"]).next() {
        Some(_) => table(["LINE", "AMOUNT"], items(&it["lines"]).map(line)),
        None => String::new(),
    };
    let replaces = it["replaces"].as_object().map(|old| format!("{}, {}", text(&old["plan"]), text(&old["billingCycle"])));
    all.push_str(&sheet(&[
        ("charged now", money(&it["totalMinor"], &it["currency"])),
        ("takes effect", day(&it["effectiveAt"])),
        ("replaces", replaces.unwrap_or_else(|| "-".to_owned())),
        ("exceeds", if over.is_empty() { "-".to_owned() } else { over.join(", ") }),
    ]));
    all
}
