//! `gatehouse feature`: feature flags of tenants, and roll-outs to a part of them.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, items, moment, segment, table, text};
use super::settings::Settings;

/// Feature flags: which a tenant has and why, and rolling one out to a part of all tenants or users
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse feature list acme --user u1\n  gatehouse feature on acme beta\n  gatehouse feature rollout beta 12.5 --by tenant --plan pro\n  gatehouse feature rollouts -o json"
)]
pub(super) struct Feature {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Every flag of a tenant, with what decides whether it is on
    List {
        /// Id or slug of the tenant
        tenant: String,
        /// For this user
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Switches a flag on for one tenant, whatever its plan and roll-outs say
    On(One),
    /// Switches a flag off for one tenant, whatever its plan and roll-outs say
    Off(One),
    /// Leaves a flag of a tenant to its plan and to roll-outs again
    Unset(One),
    /// Rolls a flag out to a part of all tenants or users, or changes the part; what is not said stays as it is
    Rollout(Rollout),
    /// Every roll-out
    Rollouts {
        #[command(flatten)]
        settings: Settings,
    },
    /// Ends a roll-out: the flag is off where neither a tenant's config nor its plan says otherwise
    End {
        /// Name of the flag
        flag: String,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Args)]
struct One {
    /// Id or slug of the tenant
    tenant: String,
    /// Name of the flag
    flag: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Rollout {
    /// Name of the flag
    flag: String,
    /// From 0 to 100, with at most two decimals
    percentage: f64,
    /// What it is a part of; tenants, where a new one does not say
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Only tenants on this plan; may be repeated
    #[arg(long = "plan", value_name = "PLAN")]
    plans: Vec<String>,
    /// Tenants on all plans
    #[arg(long, conflicts_with = "plans")]
    all_plans: bool,
    /// For operators
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Tenant,
    User,
}

impl Feature {
    pub fn execute(self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::List { tenant, user, settings } => {
                let mut path = format!("/admin/tenants/{}/features", segment(tenant));
                user.iter().for_each(|user| path.push_str(&format!("?user={}", segment(user))));
                self.asked.show(settings, async |client| Ok(client.get(&path).await?["data"].take()), list)?;
            }
            Verb::On(one) => self.switch(one, Some(true))?,
            Verb::Off(one) => self.switch(one, Some(false))?,
            Verb::Unset(one) => self.switch(one, None)?,
            Verb::Rollout(wanted) => {
                let shown = |told: &Value| rollouts(&json!([told]));
                self.asked.show(&wanted.settings, async |client| wanted.put(&client).await, shown)?;
            }
            Verb::Rollouts { settings } => {
                self.asked.show(settings, async |client| Ok(client.get("/admin/features").await?["data"].take()), rollouts)?;
            }
            Verb::End { flag, settings } => {
                let path = format!("/admin/features/{}", segment(flag));
                let shown = |told: &Value| rollouts(&json!([told]));
                self.asked.show(settings, async |client| client.send(Method::DELETE, &path, None).await, shown)?;
            }
        }
        Ok(())
    }

    /// Switches a flag, and shows how it stands then.
    fn switch(&self, one: &One, on: Option<bool>) -> anyhow::Result<()> {
        let all = format!("/admin/tenants/{}/features", segment(&one.tenant));
        let path = format!("{all}/{}", segment(&one.flag));
        let ask = async |client: Client| {
            match on {
                Some(on) => client.send(Method::PUT, &path, Some(&json!({"enabled": on}))).await?,
                None => client.send(Method::DELETE, &path, None).await?,
            };
            let states = client.get(&all).await?["data"].take();
            let left = || json!({"name": one.flag, "enabled": false, "source": "default"});
            Ok(items(&states).find(|state| state["name"] == *one.flag).cloned().unwrap_or_else(left))
        };
        self.asked.show(&one.settings, ask, |told| list(&json!([told])))?;
        Ok(())
    }
}

impl Rollout {
    async fn put(&self, client: &Client) -> anyhow::Result<Value> {
        let all = client.get("/admin/features").await?["data"].take();
        let mut body = items(&all).find(|known| known["flag"] == *self.flag).cloned().unwrap_or_else(|| json!({}));
        body["percentage"] = json!(self.percentage);
        if let Some(by) = self.by {
            body["by"] = json!(if matches!(by, By::User) { "user" } else { "tenant" });
        }
        if self.all_plans || !self.plans.is_empty() {
            body["plans"] = if self.all_plans { Value::Null } else { json!(self.plans) };
        }
        if let Some(description) = &self.description {
            body["description"] = json!(description);
        }
        client.send(Method::PUT, &format!("/admin/features/{}", segment(&self.flag)), Some(&body)).await
    }
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|state| {
        let switch = |value: &Value| value.as_bool().map_or("-", |on| if on { "on" } else { "off" }).to_owned();
        let rollout = if state["rollout"].is_object() { part(&state["rollout"]) } else { "-".to_owned() };
        [
            text(&state["name"]),
            switch(&state["enabled"]),
            text(&state["source"]),
            switch(&state["override"]),
            switch(&state["planDefault"]),
            rollout,
        ]
    });
    table(["FLAG", "IS", "BY", "TENANT", "PLAN", "ROLL-OUT"], rows)
}

fn rollouts(told: &Value) -> String {
    let rows = items(told).map(|it| [text(&it["flag"]), part(it), moment(&it["updatedAt"]), text(&it["description"])]);
    table(["FLAG", "ROLL-OUT", "CHANGED", "DESCRIPTION"], rows)
}

/// `12.5 % by tenant, of pro, enterprise`
fn part(rollout: &Value) -> String {
    let plans: Vec<String> = items(&rollout["plans"]).map(text).collect();
    let of = if plans.is_empty() { String::new() } else { format!(", of {}", plans.join(", ")) };
    format!("{} % by {}{of}", text(&rollout["percentage"]), text(&rollout["by"]))
}
