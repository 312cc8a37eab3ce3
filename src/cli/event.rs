//! `gatehouse event`: what the operator's own systems were told, and how that went, as the running gateway tells of it.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, moment, table as columns, text};
use super::settings::{Settings, WrongUsage};
use crate::model::EventId;

/// What your own systems were told, how that went, and telling it again
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse event list --state failed\n  gatehouse event list --tenant acme --type tenant.suspended -o json\n  gatehouse event show evt_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e\n  gatehouse event resend evt_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e --endpoint crm"
)]
pub(super) struct Event {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest events, or those of one type, tenant or state
    List {
        /// Such as tenant.suspended
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Id or slug
        #[arg(long)]
        tenant: Option<String>,
        /// pending, delivered or failed
        #[arg(long)]
        state: Option<String>,
        /// How many, at most 500
        #[arg(long, default_value_t = 50)]
        limit: u16,
        #[command(flatten)]
        settings: Settings,
    },
    /// One event: what is sent, and every attempt
    Show {
        /// The event's id
        event: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Sends an event once more, under the same id, to all endpoints that it was for
    Resend {
        /// The event's id
        event: String,
        /// To this endpoint alone, also where the event was not for it
        #[arg(long)]
        endpoint: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Event {
    pub fn execute(self) -> anyhow::Result<()> {
        let (Verb::List { settings, .. } | Verb::Show { settings, .. } | Verb::Resend { settings, .. }) = &self.verb;
        let (method, path, body) = self.verb.request()?;
        let ask = |client: Client| async move {
            let mut answer = client.send(method, &path, body.as_ref()).await?;
            if answer["nextCursor"].is_string() {
                super::remark("there are more; --limit shows up to 500");
            }
            Ok(if answer["data"].is_array() { answer["data"].take() } else { answer })
        };
        let shown = |told: &Value| told.as_array().map_or_else(|| sheet(told), |events| table(events));
        self.asked.show(settings, ask, shown)?;
        Ok(())
    }
}

impl Verb {
    /// The call of the admin API that it stands for.
    fn request(&self) -> anyhow::Result<(Method, String, Option<Value>)> {
        let id = |text: &str| text.parse::<EventId>().map_err(|error| WrongUsage(error.to_string()));
        Ok(match self {
            Self::List { kind, tenant, state, limit, .. } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("limit", &limit.to_string());
                for (name, value) in [("type", kind), ("tenantId", tenant), ("state", state)] {
                    value.iter().for_each(|value| _ = query.append_pair(name, value));
                }
                (Method::GET, format!("/admin/events?{}", query.finish()), None)
            }
            Self::Show { event, .. } => (Method::GET, format!("/admin/events/{}", id(event)?), None),
            Self::Resend { event, endpoint, .. } => {
                let body = endpoint.as_ref().map(|endpoint| json!({"endpoint": endpoint}));
                (Method::POST, format!("/admin/events/{}/resend", id(event)?), body)
            }
        })
    }
}

fn table(events: &[Value]) -> String {
    let head = ["TIME", "ID", "TYPE", "TENANT", "STATE", "ENDPOINTS"];
    let rows = events.iter().map(|event| {
        let deliveries = event["deliveries"].as_array().into_iter().flatten();
        let endpoints: Vec<String> = deliveries.map(|it| format!("{}: {}", text(&it["endpoint"]), outcome(it))).collect();
        let [id, kind, tenant, state] = ["id", "type", "tenantId", "state"].map(|member| text(&event[member]));
        [moment(&event["time"]), id, kind, tenant, state, endpoints.join(", ")]
    });
    columns(head, rows)
}

/// How a delivery stands, and how its last attempt ended where that was a failure.
fn outcome(delivery: &Value) -> String {
    let state = text(&delivery["state"]);
    match delivery["lastAttempt"]["error"].as_str().or_else(|| delivery["detail"].as_str()) {
        Some(error) => format!("{state} ({error})"),
        None => state,
    }
}

fn sheet(event: &Value) -> String {
    let mut shown = String::new();
    for (name, value) in [
        ("event", text(&event["id"])),
        ("type", text(&event["type"])),
        ("tenant", text(&event["tenantId"])),
        ("time", moment(&event["time"])),
        ("state", text(&event["state"])),
        ("payload", event["payload"].to_string()),
    ] {
        shown.push_str(&format!("{name:9} {value}\n"));
    }
    for delivery in event["deliveries"].as_array().into_iter().flatten() {
        let next = delivery["nextAttemptAt"].as_i64().map(|_| format!(", tried again at {}", moment(&delivery["nextAttemptAt"])));
        let detail = delivery["detail"].as_str().map(|detail| format!(", {detail}")).unwrap_or_default();
        let (name, state) = (text(&delivery["endpoint"]), text(&delivery["state"]));
        shown.push_str(&format!("\n{name}: {state}{detail}{}\n", next.unwrap_or_default()));
        for attempt in delivery["attempts"].as_array().into_iter().flatten() {
            let ended = attempt["error"].as_str().map_or_else(|| format!("answered {}", attempt["status"]), str::to_owned);
            shown.push_str(&format!("  {}  {:>6} ms  {ended}\n", moment(&attempt["time"]), attempt["durationMs"].as_u64().unwrap_or(0)));
            attempt["answer"].as_str().into_iter().for_each(|answer| shown.push_str(&format!("    {answer}\n")));
        }
    }
    shown
}
