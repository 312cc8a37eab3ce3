//! `gatehouse key`: API keys of tenants. A secret is told once, alone on stdout, so that scripts can take it from there.

use anyhow::bail;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, day, items, moment, segment, sheet, table, text};
use super::settings::{Settings, WrongUsage};
use crate::clock::{Clock, SystemClock};
use crate::config::read_duration;

const KEEP: &str = "The secret is shown this once: keep it now.";

/// API keys of tenants: issue, rotate and revoke them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse key list acme\n  SECRET=$(gatehouse key create acme --name CI --role admin --expires 90d)\n  gatehouse key rotate acme CI --overlap 24h\n  gatehouse key revoke acme key_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e"
)]
pub(super) struct Key {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A tenant's keys, oldest first
    List {
        /// Id or slug of the tenant
        tenant: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// One key
    Show(One),
    /// Issues a key; its secret goes to stdout, and is never told again
    Create(Create),
    /// Issues a key that takes the place of another, which goes on to work for a while; the secret goes to stdout
    Rotate {
        #[command(flatten)]
        one: One,
        /// How long the old key works beside the new one, such as 24h (also where it is not said), at most 90d
        #[arg(long, value_name = "DURATION")]
        overlap: Option<String>,
    },
    /// Makes a key useless, from the next request on
    Revoke(One),
}

#[derive(Debug, Args)]
struct One {
    /// Id or slug of the tenant
    tenant: String,
    /// Id of the key, or its name where only one has it
    key: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Create {
    /// Id or slug of the tenant
    tenant: String,
    /// What its owner calls it
    #[arg(long)]
    name: String,
    /// A role that requests with it have; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Something that it may be used for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends: after a duration such as 90d, or at a moment such as 2027-06-30T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// A key for tests (gh_test_…)
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Key {
    pub fn execute(self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::List { tenant, settings } => {
                let path = format!("/admin/tenants/{}/keys", segment(tenant));
                self.asked.show(settings, async |client| Ok(Value::Array(client.all(&path, &[]).await?)), list)?;
            }
            Verb::Show(one) => _ = self.asked.show(&one.settings, async |client| one.find(&client).await, shown)?,
            Verb::Create(create) => {
                let body = create.body()?;
                let path = format!("/admin/tenants/{}/keys", segment(&create.tenant));
                let ask = async |client: Client| client.send(Method::POST, &path, Some(&body)).await;
                self.asked.show_once(&create.settings, ask, shown, KEEP)?;
            }
            Verb::Rotate { one, overlap } => {
                if overlap.as_deref().is_some_and(|text| read_duration(text).is_none()) {
                    bail!(WrongUsage("--overlap: a duration such as 24h, 30m or 0s".to_owned()));
                }
                let body = overlap.as_ref().map_or_else(|| json!({}), |overlap| json!({"overlap": overlap}));
                let ask = async |client: Client| {
                    let path = one.path(&client, "/rotate").await?;
                    client.send(Method::POST, &path, Some(&body)).await
                };
                self.asked.show_once(&one.settings, ask, shown, KEEP)?;
            }
            Verb::Revoke(one) => {
                let ask = async |client: Client| {
                    let path = one.path(&client, "").await?;
                    client.send(Method::DELETE, &path, None).await
                };
                self.asked.show(&one.settings, ask, shown)?;
            }
        }
        Ok(())
    }
}

impl Create {
    fn body(&self) -> anyhow::Result<Value> {
        let mut body = json!({"name": self.name, "roles": self.roles, "scopes": self.scopes});
        if let Some(when) = &self.expires {
            body["expiresAt"] = json!(moment_of(when)?);
        }
        if self.test {
            body["mode"] = json!("test");
        }
        Ok(body)
    }
}

/// A moment, or a while from now, in epoch milliseconds.
pub(super) fn moment_of(when: &str) -> anyhow::Result<i64> {
    if let Some(while_) = read_duration(when) {
        return Ok(SystemClock.now().plus(while_).0);
    }
    let moment = when.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    moment.map_err(|_| WrongUsage("--expires: a duration such as 90d, or a moment such as 2027-06-30T00:00:00Z".to_owned()).into())
}

impl One {
    async fn find(&self, client: &Client) -> anyhow::Result<Value> {
        let keys = client.all(&format!("/admin/tenants/{}/keys", segment(&self.tenant)), &[]).await?;
        if let Some(key) = keys.iter().find(|key| key["id"] == *self.key) {
            return Ok(key.clone());
        }
        let called: Vec<&Value> = keys.iter().filter(|key| key["name"] == *self.key).collect();
        match called.as_slice() {
            [key] => Ok((*key).clone()),
            [] => bail!("{} has no key with the id or name `{}`", self.tenant, self.key),
            several => bail!("{} keys of {} are called `{}`; name one by its id", several.len(), self.tenant, self.key),
        }
    }

    async fn path(&self, client: &Client, below: &str) -> anyhow::Result<String> {
        let key = self.find(client).await?;
        Ok(format!("/admin/tenants/{}/keys/{}{below}", segment(&self.tenant), text(&key["id"])))
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|key| {
        [
            text(&key["name"]),
            shown_part(key),
            words(&key["roles"]),
            words(&key["scopes"]),
            day(&key["createdAt"]),
            day(&key["expiresAt"]),
            day(&key["lastUsedAt"]),
            text(&key["id"]),
        ]
    });
    table(["NAME", "KEY", "ROLES", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "ID"], rows)
}

fn shown(key: &Value) -> String {
    sheet(&[
        ("key", shown_part(key)),
        ("name", text(&key["name"])),
        ("id", text(&key["id"])),
        ("mode", text(&key["mode"])),
        ("roles", words(&key["roles"])),
        ("scopes", words(&key["scopes"])),
        ("created", moment(&key["createdAt"])),
        ("expires", moment(&key["expiresAt"])),
        ("last used", moment(&key["lastUsedAt"])),
        ("replaces", text(&key["rotatedFrom"])),
    ])
}

/// As much of the secret as is known.
fn shown_part(key: &Value) -> String {
    format!("{}…{}", text(&key["prefix"]), key["lastFour"].as_str().unwrap_or_default())
}

fn words(list: &Value) -> String {
    let words: Vec<String> = items(list).map(text).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
