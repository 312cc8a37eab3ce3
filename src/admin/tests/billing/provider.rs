//! A provider that does what a test says, and the life of a subscription that is collected by it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::admin::tests::support::{Admin, config};
use crate::billing::invoicing::Chargeable;
use crate::billing::payments::{Charge, Charged, Customer, PaymentError, PaymentMethod, Payments, Refund, Refunded};
use crate::model::Money;
use crate::tenancy::{Message, Received};

/// What the next charges come to; then they succeed.
#[derive(Default)]
pub struct Bank {
    next: Mutex<Vec<Answer>>,
    /// Charges by their key.
    charged: Mutex<BTreeMap<String, (Charge, Charged)>>,
    refunds: Mutex<Vec<Refund>>,
    /// What it can charge.
    chargeable: Chargeable,
}

#[derive(Clone)]
pub enum Answer {
    Declines(&'static str, bool),
    TakesTime,
    /// It charges, but nobody hears of it.
    ChargesUnheard,
    IsDown,
    Refuses(&'static str),
}

impl Bank {
    pub fn will(&self, answers: &[Answer]) {
        *self.next.lock().unwrap() = answers.iter().rev().cloned().collect();
    }

    /// Keys and amounts of what was charged, in order of keys.
    pub fn taken(&self) -> Vec<i64> {
        let charged = self.charged.lock().unwrap();
        charged.values().filter(|(_, outcome)| matches!(outcome, Charged::Succeeded { .. })).map(|(charge, _)| charge.amount.0).collect()
    }

    /// What took its time has come to this.
    fn decides(&self, outcome: impl Fn(&str) -> Charged) {
        for (_, now) in self.charged.lock().unwrap().values_mut() {
            if let Charged::Processing { payment } = now.clone() {
                *now = outcome(&payment);
            }
        }
    }
}

#[async_trait]
impl Payments for Bank {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn collects(&self) -> bool {
        true
    }

    fn chargeable(&self, _: &str) -> Chargeable {
        self.chargeable
    }

    async fn save_customer(&self, customer: &Customer, _: &str) -> Result<String, PaymentError> {
        Ok(format!("cus_{}", customer.tenant))
    }

    async fn attach(&self, _: &str, method: &str, _: &str) -> Result<PaymentMethod, PaymentError> {
        Ok(PaymentMethod { id: method.to_owned(), kind: "card".to_owned(), shown: "visa •••• 4242".to_owned() })
    }

    async fn charge(&self, charge: &Charge) -> Result<Charged, PaymentError> {
        if let Some((before, outcome)) = self.charged.lock().unwrap().get(&charge.key) {
            assert_eq!(before, charge, "the same key is the same charge");
            return Ok(outcome.clone());
        }
        let payment = format!("pi_{}", charge.key);
        let answer = self.next.lock().unwrap().pop();
        let outcome = match answer {
            None | Some(Answer::ChargesUnheard) => Charged::Succeeded { payment },
            Some(Answer::TakesTime) => Charged::Processing { payment },
            Some(Answer::IsDown) => return Err(PaymentError::Unavailable("down".to_owned())),
            Some(Answer::Refuses(why)) => return Err(PaymentError::Refused(why.to_owned())),
            Some(Answer::Declines(code, is_hard)) => {
                Charged::Declined { payment: Some(payment), code: code.to_owned(), message: code.replace('_', " "), is_hard }
            }
        };
        self.charged.lock().unwrap().insert(charge.key.clone(), (charge.clone(), outcome.clone()));
        match answer {
            Some(Answer::ChargesUnheard) => Err(PaymentError::Unavailable("no answer".to_owned())),
            _ => Ok(outcome),
        }
    }

    async fn find(&self, charge: &Charge) -> Result<Option<Charged>, PaymentError> {
        Ok(self.charged.lock().unwrap().get(&charge.key).map(|(_, outcome)| outcome.clone()))
    }

    async fn payment(&self, id: &str, _: Option<(Money, &str)>) -> Result<Charged, PaymentError> {
        let charged = self.charged.lock().unwrap();
        let of = |outcome: &Charged| match outcome {
            Charged::Succeeded { payment } | Charged::Processing { payment } => payment == id,
            Charged::Declined { payment, .. } => payment.as_deref() == Some(id),
        };
        charged.values().map(|(_, outcome)| outcome).find(|outcome| of(outcome)).cloned().ok_or(PaymentError::Refused("no such".to_owned()))
    }

    async fn refund(&self, refund: &Refund) -> Result<Refunded, PaymentError> {
        let mut refunds = self.refunds.lock().unwrap();
        if !refunds.contains(refund) {
            refunds.push(refund.clone());
        }
        Ok(Refunded { id: format!("re_{}", refund.key) })
    }
}

/// A tenant on pro with a card, at the moment its first period begins.
async fn with_card(answers: &[Answer]) -> (Admin, Arc<Bank>) {
    let bank = Arc::new(Bank::default());
    let admin = Admin::paid_by(config(), bank.clone()).await;
    admin.move_to("2027-10-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    let method = json!({"paymentMethod": "pm_card_visa"});
    let tenant = admin.call("PUT", "/admin/tenants/acme/payment-method", method, &[]).await.expect(200).json;
    assert_eq!(tenant["paymentMethod"], "visa •••• 4242");
    bank.will(answers);
    admin.move_to("2027-10-15T00:00:00Z").await;
    (admin, bank)
}

/// The tenant's status, the status of its newest invoice, and the attempts on it.
async fn stands(admin: &Admin) -> (String, String, usize) {
    let tenant = admin.show("acme").await["status"].as_str().unwrap().to_owned();
    let newest = admin.invoices("acme").await.pop().unwrap();
    (tenant, newest["status"].as_str().unwrap().to_owned(), newest["attempts"].as_array().unwrap().len())
}

fn like(tenant: &str, invoice: &str, attempts: usize) -> (String, String, usize) {
    (tenant.to_owned(), invoice.to_owned(), attempts)
}

#[tokio::test]
async fn an_invoice_is_collected_when_it_is_issued() {
    let (admin, bank) = with_card(&[]).await;
    assert_eq!(stands(&admin).await, like("active", "paid", 1));
    admin.move_to("2028-10-15T00:00:00Z").await;
    assert_eq!(bank.taken(), [9900; 13], "a year of months, each once");
    assert_eq!(admin.show("acme").await["status"], "active");
}

#[tokio::test]
async fn a_declined_payment_is_tried_again_by_the_schedule_and_serves_meanwhile() {
    let soft = Answer::Declines("insufficient_funds", false);
    let (admin, bank) = with_card(&[soft.clone(), soft.clone()]).await;
    assert_eq!(stands(&admin).await, like("past_due", "open", 1));
    admin.move_to("2027-10-17T23:59:59Z").await;
    assert_eq!(stands(&admin).await, like("past_due", "open", 1));
    admin.move_to("2027-10-18T00:00:00Z").await;
    assert_eq!(stands(&admin).await, like("past_due", "open", 2));
    // The next one, five days later, is past the seven days of grace.
    admin.move_to("2027-10-22T00:00:00Z").await;
    assert_eq!(stands(&admin).await, like("suspended", "open", 2));
    admin.move_to("2027-10-23T00:00:00Z").await;
    assert_eq!(stands(&admin).await, like("active", "paid", 3));
    assert_eq!(bank.taken(), [9900]);
}

#[tokio::test]
async fn after_a_hard_decline_nothing_is_tried_until_there_is_another_card() {
    let (admin, bank) = with_card(&[Answer::Declines("stolen_card", true)]).await;
    assert_eq!(stands(&admin).await, like("past_due", "open", 1));
    admin.move_to("2027-12-01T00:00:00Z").await;
    assert_eq!(stands(&admin).await, like("suspended", "open", 1));
    let method = json!({"paymentMethod": "pm_other"});
    admin.call("PUT", "/admin/tenants/acme/payment-method", method, &[]).await.expect(200);
    admin.advance("0s").await;
    assert_eq!(admin.show("acme").await["status"], "active");
    // What was open, and the period that begins with the payment.
    assert_eq!(bank.taken(), [9900, 9900]);
}

#[tokio::test]
async fn an_operator_has_an_invoice_collected_now_or_records_a_payment_by_another_way() {
    let (admin, bank) = with_card(&[Answer::Declines("insufficient_funds", false), Answer::Declines("do_not_honor", false)]).await;
    let path = format!("/admin/invoices/{}/pay", admin.invoices("acme").await[0]["id"].as_str().unwrap());
    admin.post(&path, Value::Null).await.expect(402).code("payment_failed");
    assert_eq!(stands(&admin).await, like("past_due", "open", 2));
    assert_eq!(admin.post(&path, Value::Null).await.expect(200).json["payment"]["provider"], "stripe");
    assert_eq!((stands(&admin).await, bank.taken()), (like("active", "paid", 3), vec![9900]));
    let (admin, bank) = with_card(&[Answer::Declines("insufficient_funds", false)]).await;
    let path = format!("/admin/invoices/{}/pay", admin.invoices("acme").await[0]["id"].as_str().unwrap());
    assert_eq!(admin.post(&path, json!({"reference": "cheque"})).await.expect(200).json["payment"]["provider"], "manual");
    admin.advance("30d").await;
    assert_eq!((admin.show("acme").await["status"].clone(), bank.taken()), (json!("active"), vec![]), "and is not collected as well");
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_repeated_under_its_key_and_charged_once() {
    let (admin, bank) = with_card(&[Answer::ChargesUnheard]).await;
    assert_eq!(stands(&admin).await, like("active", "open", 0));
    admin.advance("1m").await;
    assert_eq!(stands(&admin).await, like("active", "paid", 1));
    assert_eq!(bank.taken(), [9900]);
    let (admin, bank) = with_card(&[Answer::IsDown, Answer::IsDown]).await;
    admin.advance("5m").await;
    assert_eq!(stands(&admin).await, like("active", "paid", 1));
    assert_eq!(bank.taken(), [9900]);
}

#[tokio::test]
async fn an_upgrade_is_made_when_it_is_paid_and_not_at_all_when_it_is_declined() {
    let (admin, bank) = with_card(&[]).await;
    admin.move_to("2027-10-31T00:00:00Z").await;
    bank.will(&[Answer::Declines("insufficient_funds", false)]);
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(402).code("payment_failed");
    let tenant = admin.show("acme").await;
    assert_eq!((&tenant["plan"], &tenant["status"], &tenant["amountDueMinor"]), (&json!("pro"), &json!("active"), &json!(0)));
    assert_eq!(stands(&admin).await, like("active", "void", 1));
    let upgraded = admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200).json;
    assert_eq!((&upgraded["plan"], &upgraded["limits"]["maxUsers"]), (&json!("enterprise"), &Value::Null));
    assert_eq!(bank.taken(), [9900, 19_355], "499.00 − 99.00 for 15 of 31 days");
    bank.will(&[Answer::TakesTime]);
    let waits = admin.subscribe("acme", json!({"plan": "enterprise", "billingCycle": "yearly"})).await.expect(200).json;
    assert_eq!((&waits["billingCycle"], &waits["pendingChange"]["awaitsPayment"]), (&json!("monthly"), &json!(true)));
    admin.subscribe("acme", json!({"plan": "pro"})).await.expect(409);
    bank.decides(|payment| Charged::Succeeded { payment: payment.to_owned() });
    admin.advance("1h").await;
    let tenant = admin.show("acme").await;
    assert_eq!((&tenant["billingCycle"], &tenant["pendingChange"]), (&json!("yearly"), &Value::Null));
}

#[tokio::test]
async fn a_message_is_acted_on_once_and_only_by_what_the_provider_says_when_asked() {
    let (admin, bank) = with_card(&[Answer::TakesTime]).await;
    assert_eq!(stands(&admin).await, like("active", "open", 0));
    let payment = format!("pi_{}", bank.charged.lock().unwrap().keys().next().unwrap());
    let now = crate::clock::Clock::now(&*admin.clock);
    let message = |id: &str, object: &str| Message { id: id.to_owned(), object: object.to_owned(), is_payment: true, invoice: None };
    assert_eq!(admin.biller.receive(&message("evt_0", "pi_of_somebody_else"), now).await.unwrap(), Received::Unknown);
    // It says succeeded, but the provider, when asked, does not.
    assert_eq!(admin.biller.receive(&message("evt_1", &payment), now).await.unwrap(), Received::Done);
    assert_eq!(stands(&admin).await, like("active", "open", 0));
    bank.decides(|payment| Charged::Succeeded { payment: payment.to_owned() });
    assert_eq!(admin.biller.receive(&message("evt_1", &payment), now).await.unwrap(), Received::Done);
    assert_eq!(stands(&admin).await, like("active", "open", 0), "seen before");
    for _ in 0..3 {
        assert_eq!(admin.biller.receive(&message("evt_2", &payment), now).await.unwrap(), Received::Done);
        assert_eq!(stands(&admin).await, like("active", "paid", 1));
    }
    assert_eq!(admin.biller.receive(&message("evt_3", &payment), now).await.unwrap(), Received::Done);
    assert_eq!(stands(&admin).await, like("active", "paid", 1));
}

#[tokio::test]
async fn a_refund_goes_back_through_the_provider_once() {
    let (admin, bank) = with_card(&[]).await;
    let id = admin.invoices("acme").await[0]["id"].as_str().unwrap().to_owned();
    let credited = admin.post(&format!("/admin/invoices/{id}/credit"), json!({"amountMinor": 900, "refund": true})).await.expect(200).json;
    assert_eq!(credited["creditNotes"][0]["outcome"], "refunding");
    admin.advance("0s").await;
    let invoice = admin.invoices("acme").await.remove(0);
    assert_eq!(invoice["creditNotes"][0]["outcome"], "refunded");
    let refunds: Vec<(String, i64)> = bank.refunds.lock().unwrap().iter().map(|it| (it.payment.clone(), it.amount.0)).collect();
    assert_eq!(refunds, [(invoice["payment"]["reference"].as_str().unwrap().to_owned(), 900)]);
}

#[tokio::test]
async fn a_change_that_is_not_paid_makes_nobody_past_due_and_is_gone_when_it_is_declined() {
    let (admin, bank) = with_card(&[]).await;
    bank.will(&[Answer::TakesTime]);
    let waits = admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200).json;
    assert_eq!(waits["pendingChange"]["awaitsPayment"], true);
    // Past the date on its invoice, and past the grace.
    admin.move_to("2027-11-14T00:00:00Z").await;
    assert_eq!(stands(&admin).await, like("active", "open", 0));
    bank.decides(|payment| Charged::Declined {
        payment: Some(payment.to_owned()),
        code: "insufficient_funds".to_owned(),
        message: "no money".to_owned(),
        is_hard: false,
    });
    admin.advance("2h").await;
    assert_eq!(stands(&admin).await, like("active", "void", 1));
    assert_eq!((&admin.show("acme").await["plan"], &admin.show("acme").await["pendingChange"]), (&json!("pro"), &Value::Null));
}

#[tokio::test]
async fn a_change_whose_charge_the_provider_refuses_is_not_made_and_says_why() {
    let (admin, bank) = with_card(&[]).await;
    bank.will(&[Answer::Refuses("amount_too_small")]);
    let refused = admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(402).json;
    assert!(refused["detail"].as_str().unwrap().contains("amount_too_small"), "{refused}");
    assert_eq!(stands(&admin).await, like("active", "void", 1));
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200);
    assert_eq!(stands(&admin).await, like("active", "paid", 1));
}

#[tokio::test]
async fn money_for_a_change_that_comes_after_the_subscription_has_ended_is_due_to_the_tenant() {
    let (admin, bank) = with_card(&[]).await;
    admin.post("/admin/tenants/acme/cancel", json!({"atPeriodEnd": true})).await.expect(200);
    admin.move_to("2027-11-01T00:00:00Z").await;
    bank.will(&[Answer::TakesTime]);
    admin.subscribe("acme", json!({"plan": "enterprise"})).await.expect(200);
    admin.move_to("2027-11-15T00:00:00Z").await;
    assert_eq!(stands(&admin).await.0, "canceled");
    bank.decides(|payment| Charged::Succeeded { payment: payment.to_owned() });
    admin.advance("2h").await;
    let tenant = admin.show("acme").await;
    let paid = admin.invoices("acme").await[1]["amountMinor"].clone();
    assert_eq!((&tenant["plan"], &tenant["creditMinor"], &tenant["status"]), (&json!("pro"), &paid, &json!("canceled")));
}

#[tokio::test]
async fn what_is_collected_is_rounded_up_to_what_can_be_charged_and_the_rest_is_credit() {
    let mut config = config();
    config.billing.currency = "KWD".to_owned();
    let bank = Arc::new(Bank { chargeable: Chargeable { unit: 10, least: 0 }, ..Bank::default() });
    let admin = Admin::paid_by(config, bank.clone()).await;
    admin.move_to("2027-10-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.call("PUT", "/admin/tenants/acme/payment-method", json!({"paymentMethod": "pm_card_visa"}), &[]).await.expect(200);
    admin.move_to("2027-10-21T00:00:00Z").await;
    let preview =
        admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "enterprise"}), &[]).await.expect(200).json;
    admin.subscribe("acme", json!({"plan": "enterprise", "quote": preview["quote"]})).await.expect(200);
    // 25 of 31 days of 49,900 less those of 9,900: 40,242 less 7,984.
    let upgrade = admin.invoices("acme").await.remove(1);
    assert_eq!((&upgrade["amountMinor"], &upgrade["status"], &preview["totalMinor"]), (&json!(32_260), &json!("paid"), &json!(32_260)));
    assert_eq!(admin.show("acme").await["creditMinor"], 2);
    let explained = admin.get(&format!("/admin/invoices/{}/explain", upgrade["id"].as_str().unwrap())).await.expect(200).json;
    assert_eq!(explained["agrees"], true);
    assert!(bank.taken().iter().all(|amount| amount % 10 == 0));
}

#[tokio::test]
async fn what_is_too_little_to_be_charged_is_charged_with_the_next_invoice() {
    let mut config = config();
    config.plans.get_mut("enterprise").unwrap().price_monthly = Money(9_930);
    let bank = Arc::new(Bank { chargeable: Chargeable { unit: 1, least: 50 }, ..Bank::default() });
    let admin = Admin::paid_by(config, bank.clone()).await;
    admin.move_to("2027-10-01T00:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.call("PUT", "/admin/tenants/acme/payment-method", json!({"paymentMethod": "pm_card_visa"}), &[]).await.expect(200);
    admin.move_to("2027-10-15T00:00:00Z").await;
    let preview =
        admin.call("PUT", "/admin/tenants/acme/subscription?dryRun=true", json!({"plan": "enterprise"}), &[]).await.expect(200).json;
    assert_eq!(preview["totalMinor"], 30, "{preview}");
    let changed = admin.subscribe("acme", json!({"plan": "enterprise", "quote": preview["quote"]})).await.expect(200).json;
    assert_eq!((&changed["plan"], &changed["creditMinor"]), (&json!("enterprise"), &json!(-30)));
    assert_eq!(stands(&admin).await, like("active", "paid", 0));
    assert_eq!(admin.invoices("acme").await[1]["payment"]["provider"], "next_invoice");
    // So it is where a credit note leaves too little.
    bank.will(&[Answer::Declines("insufficient_funds", false)]);
    admin.move_to("2027-11-15T00:00:00Z").await;
    let id = admin.invoices("acme").await[2]["id"].as_str().unwrap().to_owned();
    let credited = admin.post(&format!("/admin/invoices/{id}/credit"), json!({"amountMinor": 9_950})).await.expect(200).json;
    assert_eq!((&credited["status"], &credited["amountDueMinor"]), (&json!("open"), &json!(10)));
    admin.advance("3d").await;
    assert_eq!((stands(&admin).await, &admin.show("acme").await["creditMinor"]), (like("active", "paid", 1), &json!(-10)));
    admin.move_to("2027-12-15T00:00:00Z").await;
    assert_eq!((stands(&admin).await, bank.taken()), (like("active", "paid", 1), vec![9_900, 9_940]));
    assert_eq!(admin.show("acme").await["creditMinor"], 0);
    for invoice in admin.invoices("acme").await {
        let explained = admin.get(&format!("/admin/invoices/{}/explain", invoice["id"].as_str().unwrap())).await.expect(200).json;
        assert_eq!(explained["agrees"], true, "{explained}");
    }
}
