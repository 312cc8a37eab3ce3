//! The admin API of one gateway, for verbs that ask for more than one thing; and what they found, as people read it.

use std::borrow::Cow;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use serde_json::Value;

use super::api;
use super::settings::{Output, Settings};
use crate::model::plain;

/// Pages are read in this size.
const PAGE: usize = 500;

/// Arguments of every verb that asks a gateway.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The admin listener; without it the one of the configuration
    #[arg(long, value_name = "URL", global = true)]
    pub admin: Option<String>,
    /// Why, in a line; for the audit log
    #[arg(long, value_name = "TEXT", global = true)]
    reason: Option<String>,
    /// How it is shown
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    pub output: Output,
}

/// Which tenants, invoices or rows are listed, at most.
#[derive(Debug, Args)]
pub(super) struct Most {
    /// At most so many, the newest; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// The admin API of one gateway.
pub(super) struct Client {
    address: SocketAddr,
    token: String,
    /// Told with every call.
    reason: Option<String>,
}

impl Asked {
    /// Asks the gateway in `ask`.
    pub fn ask<F>(&self, settings: &Settings, ask: impl FnOnce(Client) -> F) -> anyhow::Result<Value>
    where
        F: Future<Output = anyhow::Result<Value>>,
    {
        let config = settings.load()?;
        let address = api::address(self.admin.as_deref(), &config)?;
        let client = Client { address, token: api::token(&config).to_owned(), reason: self.reason.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(ask(client))
    }

    /// Shows what was told: as JSON, or as `table` makes of it.
    pub fn print(&self, told: &Value, table: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        Ok(super::print(&match self.output {
            Output::Json => format!("{}\n", escaped(&serde_json::to_string_pretty(told)?)),
            Output::Table => table(told),
        })?)
    }

    /// Asks for something with a secret that is told once: for programs all of it, for people the secret alone on stdout, so that a
    /// shell can take it, and the rest beside it.
    pub fn show_once<F>(
        &self,
        settings: &Settings,
        ask: impl FnOnce(Client) -> F,
        sheet: impl FnOnce(&Value) -> String,
        remark: &str,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<Value>>,
    {
        let told = self.ask(settings, ask)?;
        if self.output == Output::Json {
            self.print(&told, sheet)?;
        } else {
            super::remark(sheet(&told).trim_end());
            super::print(&format!("{}\n", text(&told["secret"])))?;
        }
        super::remark(remark);
        Ok(())
    }

    /// Asks the gateway in `ask`, and shows what that gives.
    pub fn show<F>(&self, settings: &Settings, ask: impl FnOnce(Client) -> F, table: impl FnOnce(&Value) -> String) -> anyhow::Result<Value>
    where
        F: Future<Output = anyhow::Result<Value>>,
    {
        let told = self.ask(settings, ask)?;
        self.print(&told, table)?;
        Ok(told)
    }
}

impl Client {
    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// A call, with a body where there is one. What the API refuses is an error that tells why.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = api::send_with(self.address, method, path, &self.token, self.reason.as_deref(), body).await?;
        let answer = answer.with_context(|| format!("no gateway listens on {}; name its admin listener with --admin", self.address))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let detail = answer.body["detail"].as_str().unwrap_or("the admin API refuses");
        match answer.status {
            http::StatusCode::UNAUTHORIZED => bail!("{}: {detail} Set admin.token, or GATEHOUSE_ADMIN_TOKEN", answer.status),
            status => bail!("{status}: {detail}"),
        }
    }

    /// What a list has, at most so many (0 is all); a remark tells where there is more.
    pub async fn list(&self, path: &str, filters: &[(&str, Option<&str>)], most: &Most) -> anyhow::Result<Value> {
        let most = if most.limit == 0 { usize::MAX } else { most.limit };
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &PAGE.min(most - all.len()).to_string());
            for (name, value) in filters.iter().copied().chain([("cursor", cursor.as_deref())]) {
                value.iter().for_each(|value| _ = query.append_pair(name, value));
            }
            let page = self.get(&format!("{path}?{}", query.finish())).await?;
            all.extend(page["data"].as_array().cloned().unwrap_or_default());
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_some() && all.len() >= most {
                super::remark(&format!("there are more than these {most}; --limit 0 shows all"));
            }
            if cursor.is_none() || all.len() >= most {
                return Ok(Value::Array(all));
            }
        }
    }

    /// Everything that a list has.
    pub async fn all(&self, path: &str, filters: &[(&str, Option<&str>)]) -> anyhow::Result<Vec<Value>> {
        match self.list(path, filters, &Most { limit: 0 }).await? {
            Value::Array(all) => Ok(all),
            other => Ok(vec![other]),
        }
    }
}

/// JSON as a terminal may have it: what it would act on is in texts only, and escaped there.
pub(super) fn escaped(json: &str) -> String {
    let lines = json.split('\n').map(|line| {
        line.chars().fold(String::with_capacity(line.len()), |mut shown, character| {
            let mut units = [0; 2];
            match plain(character.encode_utf8(&mut [0; 4])) {
                Cow::Borrowed(_) => shown.push(character),
                Cow::Owned(_) => shown.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
            }
            shown
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A part of a path, whatever was typed.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Columns as wide as their widest cell. Nothing in a cell reaches the terminal but text.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows = rows.map(|row| row.map(|cell| plain(&cell).into_owned()));
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A fact a line; what there is nothing to say of is left out.
pub(super) fn sheet(facts: &[(&str, String)]) -> String {
    facts.iter().filter(|(_, value)| value != "-").map(|(name, value)| format!("{name:12} {}\n", plain(value))).collect()
}

/// The items of a list.
pub(super) fn items(told: &Value) -> impl Iterator<Item = &Value> {
    told.as_array().into_iter().flatten()
}

/// A text or a number; `-` for nothing.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        _ => "-".to_owned(),
    }
}

/// An amount of minor units with its currency: `33.87 USD`.
pub(super) fn money(minor: &Value, currency: &Value) -> String {
    minor.as_i64().map_or_else(|| "-".to_owned(), |minor| crate::model::Money(minor).shown(currency.as_str().unwrap_or_default()))
}

/// The UTC day of a moment.
pub(super) fn day(millis: &Value) -> String {
    millis.as_i64().map_or_else(|| "-".to_owned(), |millis| crate::model::Millis(millis).day().to_string())
}

/// A moment in UTC, to the second.
pub(super) fn moment(millis: &Value) -> String {
    let time = millis.as_i64().and_then(|millis| jiff::Timestamp::from_second(millis.div_euclid(1000)).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}
