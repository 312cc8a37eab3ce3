//! `gatehouse invoice`: what was invoiced, how it came about, and what an operator does with it.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Asked, Client, Most, day, items, money, segment, sheet, table, text};
use super::settings::Settings;

/// What was invoiced, how it comes about, and what becomes of it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse invoice list --tenant acme --status open\n  gatehouse invoice explain INV-000001       each line with its reckoning; exit code 1 where one does not agree\n  gatehouse invoice pay INV-000001 --reference \"transfer 4711\"\n  gatehouse invoice credit INV-000001 --amount 1000 --reason \"two days of outage\"\n\nAn invoice is named by its id, which is found at once, or by its number, which is looked for."
)]
pub(super) struct Invoice {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Invoices, the newest first
    List {
        /// Id or slug of a tenant
        #[arg(long)]
        tenant: Option<String>,
        /// open, paid, void or uncollectible
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        most: Most,
        #[command(flatten)]
        settings: Settings,
    },
    /// One invoice with its lines
    Show(One),
    /// How each line comes about, computed again; exit code 1 where one does not agree
    Explain(One),
    /// Records that it was paid
    Pay {
        #[command(flatten)]
        one: One,
        /// Where the payment is found again, such as a bank's reference
        #[arg(long)]
        reference: Option<String>,
        /// With the tenant's credit, as far as it goes
        #[arg(long, conflicts_with = "reference")]
        from_credit: bool,
    },
    /// Voids one that was issued by mistake
    Void {
        #[command(flatten)]
        one: One,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Gives up on one that will not be paid
    Uncollectible {
        #[command(flatten)]
        one: One,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Issues a credit note on it
    Credit {
        #[command(flatten)]
        one: One,
        /// How much, in minor units (1000 is 10.00 USD), tax included; without it all that is left
        #[arg(long, value_name = "MINOR", value_parser = minor)]
        amount: Option<i64>,
        /// Gives the money back, instead of taking it off the next invoices
        #[arg(long)]
        refund: bool,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
struct One {
    /// Id of the invoice, or its number
    invoice: String,
    #[command(flatten)]
    settings: Settings,
}

impl Invoice {
    pub fn execute(self) -> anyhow::Result<()> {
        let asked = &self.asked;
        match &self.verb {
            Verb::List { tenant, status, most, settings } => {
                let filters = [("tenant", tenant.as_deref()), ("status", status.as_deref())];
                asked.show(settings, async |client| client.list("/admin/invoices", &filters, most).await, list)?;
            }
            Verb::Show(one) => {
                asked.show(&one.settings, async |client| client.get(&path_of(&client, &one.invoice).await?).await, shown)?;
            }
            Verb::Explain(one) => {
                let ask = async |client: Client| {
                    let path = path_of(&client, &one.invoice).await?;
                    client.get(&format!("{path}/explain")).await
                };
                if asked.show(&one.settings, ask, explained)?["agrees"] != true {
                    bail!("the invoice does not agree with what it was made of");
                }
            }
            Verb::Pay { one, reference, from_credit } => {
                self.act(one, "pay", &json!({"reference": reference, "fromCredit": from_credit}))?;
            }
            Verb::Void { one, reason } => self.act(one, "void", &json!({"reason": reason}))?,
            Verb::Uncollectible { one, reason } => self.act(one, "uncollectible", &json!({"reason": reason}))?,
            Verb::Credit { one, amount, refund, reason } => {
                self.act(one, "credit", &json!({"amountMinor": amount, "refund": refund, "reason": reason}))?;
            }
        }
        Ok(())
    }

    fn act(&self, one: &One, action: &str, body: &Value) -> anyhow::Result<()> {
        let ask = async |client: Client| {
            let path = path_of(&client, &one.invoice).await?;
            client.send(Method::POST, &format!("{path}/{action}"), Some(body)).await
        };
        self.asked.show(&one.settings, ask, shown)?;
        Ok(())
    }
}

/// An amount in minor units, which is taken for nothing else.
fn minor(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "an amount is a whole number of minor units: 10.00 USD is 1000".to_owned())
}

/// Where an invoice is, by its id or its number.
async fn path_of(client: &Client, name: &str) -> anyhow::Result<String> {
    if name.parse::<crate::model::InvoiceId>().is_ok() {
        return Ok(format!("/admin/invoices/{name}"));
    }
    let found = client.get(&format!("/admin/invoices?number={}", segment(name))).await?;
    let found = found["data"][0]["id"].as_str().with_context(|| format!("there is no invoice `{name}`; name it by its id or number"))?;
    Ok(format!("/admin/invoices/{found}"))
}

fn list(told: &Value) -> String {
    let rows = items(told).map(|it| {
        let [number, status, id] = ["number", "status", "id"].map(|member| text(&it[member]));
        let customer = text(&it["customer"]["name"]);
        let [amount, due] = ["amountMinor", "amountDueMinor"].map(|member| money(&it[member], &it["currency"]));
        [number, status, amount, due, day(&it["createdAt"]), day(&it["dueDate"]), customer, id]
    });
    table(["NUMBER", "STATUS", "AMOUNT", "DUE", "ISSUED", "DUE BY", "CUSTOMER", "ID"], rows)
}

fn shown(it: &Value) -> String {
    let amount = |member: &str| money(&it[member], &it["currency"]);
    let paid = it["payment"].as_object().map_or_else(|| "-".to_owned(), |_| text(&it["payment"]["provider"]));
    let mut all = sheet(&[
        ("invoice", text(&it["number"])),
        ("id", text(&it["id"])),
        ("tenant", text(&it["tenantId"])),
        ("status", text(&it["status"])),
        ("issued", day(&it["createdAt"])),
        ("due by", day(&it["dueDate"])),
        ("paid", day(&it["paidAt"])),
        ("payment", paid),
        ("reference", text(&it["payment"]["reference"])),
        ("amount", amount("amountMinor")),
        ("left to pay", amount("amountDueMinor")),
        ("remark", text(&it["remark"])),
    ]);
    all.push('\n');
    let line = |line: &Value| [text(&line["description"]), text(&line["kind"]), money(&line["amountMinor"], &it["currency"])];
    all.push_str(&table(["LINE", "KIND", "AMOUNT"], items(&it["items"]).map(line)));
    for note in items(&it["creditNotes"]) {
        let told = (text(&note["number"]), money(&note["amountMinor"], &it["currency"]), text(&note["outcome"]));
        all.push_str(&format!("\ncredit note  {} {} {}\n", told.0, told.1, told.2));
    }
    all
}

fn explained(it: &Value) -> String {
    let verdict = |agrees: &Value| if *agrees == true { "agrees" } else { "DOES NOT AGREE" };
    let line = |line: &Value| {
        let amount = money(&line["amountMinor"], &it["currency"]);
        format!("{}: {amount}, {}\n  {}\n", text(&line["description"]), verdict(&line["agrees"]), text(&line["because"]))
    };
    let mut all: String = items(&it["lines"]).map(line).collect();
    let [amount, again] = ["amountMinor", "recomputedMinor"].map(|member| money(&it[member], &it["currency"]));
    all.push_str(&format!("{}: {amount}, computed again {again}, {}\n", text(&it["number"]), verdict(&it["agrees"])));
    all
}
