//! `gatehouse audit`: who did what, as the running gateway tells of it.

use clap::Args;
use serde_json::Value;

use super::client::{Asked, Most, items, moment, table, text};
use super::settings::Settings;

/// Who did what to whom, the newest first
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse audit --tenant acme\n  gatehouse audit --action \"tenant.*\" --limit 20\n  gatehouse audit --action invoice.paid -o json"
)]
pub(super) struct Audit {
    /// Id or slug of a tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Such as tenant.created; tenant.* is every action on tenants
    #[arg(long)]
    action: Option<String>,
    #[command(flatten)]
    most: Most,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    settings: Settings,
}

impl Audit {
    pub fn execute(self) -> anyhow::Result<()> {
        let filters = [("tenant", self.tenant.as_deref()), ("action", self.action.as_deref())];
        self.asked.show(&self.settings, async |client| client.list("/admin/audit", &filters, &self.most).await, list)?;
        Ok(())
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|row| {
        let after = if row["after"].is_null() { "-".to_owned() } else { row["after"].to_string() };
        [moment(&row["time"]), text(&row["actor"]), text(&row["action"]), text(&row["tenantId"]), after]
    });
    table(["TIME", "ACTOR", "ACTION", "TENANT", "AFTER"], rows)
}
