//! Compares what a gateway has billed with what a calculation of its own says, invoice by invoice.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::scenario::Scenario;
use crate::support::peers::python;

/// Differences that are told; the first is mostly the cause of those that follow.
const TOLD: usize = 8;
const OF_TENANT: [&str; 8] =
    ["status", "plan", "billingCycle", "currentPeriodStart", "currentPeriodEnd", "cancelAtPeriodEnd", "creditMinor", "amountDueMinor"];
const OF_INVOICE: [&str; 9] = ["createdAt", "dueDate", "reason", "period", "items", "taxMinor", "amountMinor", "amountDueMinor", "status"];

/// What the calculation says of a scenario.
pub fn expected(scenario: &Scenario) -> Value {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/billing_year/expected.py");
    let mut command = Command::new(python(&[]));
    command.arg("-B").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(scenario.to_json().to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the calculation failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The differences, each in a few lines.
pub fn differences(found: &BTreeMap<String, (Value, Vec<Value>)>, expected: &Value, scenario: &Scenario) -> Vec<String> {
    let mut told = Vec::new();
    let expected = expected["tenants"].as_object().unwrap();
    assert_eq!(found.len(), expected.len(), "tenants");
    for (slug, (tenant, invoices)) in found {
        let should = &expected[slug];
        let is: Vec<Value> = invoices.iter().map(invoice).collect();
        let are = should["invoices"].as_array().unwrap();
        let longest = is.len().max(are.len());
        let first = (0..longest).find(|nth| is.get(*nth) != are.get(*nth));
        if let Some(nth) = first {
            let what = format!("invoice {} of {}", nth + 1, are.len());
            told.push(differs(slug, &what, is.get(nth).unwrap_or(&Value::Null), are.get(nth).unwrap_or(&Value::Null), scenario));
            continue;
        }
        let mut stands: Value = OF_TENANT.iter().map(|name| ((*name).to_owned(), tenant[*name].clone())).collect();
        stands["addOns"] = tenant["addOns"].as_array().into_iter().flatten().map(|it| json!([it["name"], it["quantity"]])).collect();
        let mut should = should.clone();
        should.as_object_mut().unwrap().remove("invoices");
        if stands != should {
            told.push(differs(slug, "the end", &stands, &should, scenario));
        }
    }
    told
}

/// Fails with the first differences.
pub fn same(found: &BTreeMap<String, (Value, Vec<Value>)>, expected: &Value, scenario: &Scenario) {
    let told = differences(found, expected, scenario);
    assert!(told.is_empty(), "{} tenants differ:\n{}", told.len(), told[..told.len().min(TOLD)].join("\n"));
}

/// Numbers are without gaps over all tenants, and nobody has two invoices for one period. The number of invoices.
pub fn numbered_without_gaps(found: &BTreeMap<String, (Value, Vec<Value>)>, credit_notes: u64) -> usize {
    let invoices: Vec<&Value> = found.values().flat_map(|(_, invoices)| invoices).collect();
    let mut numbers: Vec<&str> = invoices.iter().map(|it| it["number"].as_str().unwrap()).collect();
    numbers.sort_unstable();
    let all: Vec<String> = (1..=numbers.len()).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers, all);
    let notes = invoices.iter().flat_map(|it| it["creditNotes"].as_array().unwrap());
    let mut notes: Vec<&str> = notes.map(|note| note["number"].as_str().unwrap()).collect();
    notes.sort_unstable();
    let all: Vec<String> = (1..=credit_notes).map(|number| format!("CN-{number:06}")).collect();
    assert_eq!(notes, all);
    let mut periods = HashSet::new();
    for invoice in invoices.iter().filter(|it| it["reason"] == "period") {
        let is_new = periods.insert((invoice["tenantId"].to_string(), invoice["period"]["start"].to_string()));
        assert!(is_new || invoice["period"].is_null(), "a second invoice for one period: {invoice}");
    }
    numbers.len()
}

/// What is compared of an invoice.
fn invoice(invoice: &Value) -> Value {
    let mut compared: Value = OF_INVOICE.iter().map(|name| ((*name).to_owned(), invoice[*name].clone())).collect();
    let mut items: Vec<(String, i64)> = invoice["items"].as_array().unwrap().iter().map(item).collect();
    items.sort();
    compared["items"] = json!(items);
    compared
}

fn item(item: &Value) -> (String, i64) {
    (item["kind"].as_str().unwrap().to_owned(), item["amountMinor"].as_i64().unwrap())
}

/// A difference with what was asked for by this tenant, so that it can be worked out by hand.
fn differs(slug: &str, what: &str, is: &Value, should: &Value, scenario: &Scenario) -> String {
    let mut text = format!("{slug}, {what}\n      is {is}\n  should {should}\n");
    for step in &scenario.steps {
        for action in step.actions.iter().filter(|action| action["tenant"] == slug) {
            let at = Timestamp::from_millisecond(step.at).unwrap();
            let _ = writeln!(text, "    {at} ({}) {action}", step.at);
        }
    }
    text
}
