//! `gatehouse operator`: who may use the admin API of the running gateway.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, items, moment, segment, sheet, table, text};
use super::key::moment_of;
use super::settings::Settings;

/// Who may use the admin API, each by a token of their own
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  export GATEHOUSE_ADMIN_TOKEN=$(gatehouse operator create ada --role owner)     the first; from then on every call needs a token\n  gatehouse operator create ci --role read-only --expires 90d\n  gatehouse operator list\n  gatehouse operator revoke ci --reason \"left the team\""
)]
pub(super) struct Operator {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All operators
    List {
        #[command(flatten)]
        settings: Settings,
    },
    /// Makes an operator; its token is shown once
    Create {
        /// As the audit log will have it
        name: String,
        /// owner, support, billing or read-only; the first is an owner
        #[arg(long)]
        role: String,
        /// After this time its token is refused, such as 90d
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Refuses an operator's token from the next call on
    Revoke {
        /// Its name or its id
        operator: String,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Operator {
    pub fn execute(self) -> anyhow::Result<()> {
        let (Verb::List { settings } | Verb::Create { settings, .. } | Verb::Revoke { settings, .. }) = &self.verb;
        let ask = async |client: Client| match &self.verb {
            Verb::List { .. } => Ok(Value::Array(client.all("/admin/operators", &[]).await?)),
            Verb::Create { name, role, expires, .. } => {
                let expires_at = expires.as_deref().map(moment_of).transpose()?;
                let body = json!({"name": name, "role": role, "expiresAt": expires_at});
                client.send(Method::POST, "/admin/operators", Some(&body)).await
            }
            Verb::Revoke { operator, .. } => client.send(Method::DELETE, &format!("/admin/operators/{}", segment(operator)), None).await,
        };
        if matches!(self.verb, Verb::Create { .. }) {
            return self.asked.show_once(settings, ask, shown, "The token is shown this once: use it as GATEHOUSE_ADMIN_TOKEN.");
        }
        self.asked.show(settings, ask, |told| if told.is_array() { list(told) } else { shown(told) })?;
        Ok(())
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|it| {
        let token = format!("{}…{}", text(&it["prefix"]), text(&it["lastFour"]));
        [text(&it["name"]), text(&it["role"]), token, moment(&it["createdAt"]), moment(&it["expiresAt"]), moment(&it["lastUsedAt"])]
    });
    table(["NAME", "ROLE", "TOKEN", "MADE", "EXPIRES", "LAST USED"], rows)
}

fn shown(operator: &Value) -> String {
    sheet(&[
        ("name", text(&operator["name"])),
        ("id", text(&operator["id"])),
        ("role", text(&operator["role"])),
        ("expires", moment(&operator["expiresAt"])),
    ])
}
