//! What the documents say of every invoice, whatever is written in it.

use proptest::prelude::*;

use super::invoice::sheet;
use super::samples::*;
use super::sheet::{Paper, Sheet};
use super::{credit_note, html, html_credit_note, pdf, pdf_credit_note, texts};
use crate::model::invoice::*;
use crate::model::{Money, Party, TenantId};

fn sums(sheet: &Sheet) -> Vec<(&str, &str)> {
    sheet.sums.iter().map(|sum| (sum.label.as_str(), sum.amount.as_str())).collect()
}

fn usual() -> Invoice {
    invoice_of("USD", vec![priced("Plan pro", 1, 9900), tax_line(TaxTreatment::Exclusive, 1881, 1881, None), balance_line(2500, 0, -2500)])
}

#[test]
fn an_invoice_shows_how_it_adds_up() {
    let sheet = sheet(&usual());
    let expected = [
        ("Subtotal", "99.00"),
        ("VAT", "18.81"),
        ("Credit applied", "−25.00"),
        ("Total (USD)", "92.81"),
        ("Paid", "0.00"),
        ("Amount due (USD)", "92.81"),
    ];
    assert_eq!(sums(&sheet), expected);
    assert_eq!(sheet.table.rows.len(), 1, "tax and credit stand below the subtotal");
    assert_eq!(sheet.table.rows[0].cells, ["Plan pro", "2026-11-25 – 2026-12-24", "1", "99.00", "99.00"]);
    let facts = [
        ("Invoice number", "INV-000042"),
        ("Issue date", "2026-11-25"),
        ("Due date", "2026-12-09"),
        ("Period", "2026-11-25 – 2026-12-24"),
        ("Currency", "USD"),
    ];
    assert_eq!(sheet.facts.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), facts);
}

#[test]
fn every_status_is_told_with_its_date() {
    let told = InvoiceStatus::ALL.map(|status| {
        let sheet = sheet(&standing(usual(), status));
        let mark = sheet.mark.map(|mark| format!("{} {}", mark.word, mark.since.unwrap_or_default()));
        (sheet.heading, mark.unwrap_or_default(), sheet.headline.replace('\u{a0}', " "))
    });
    let expected = [
        ("Draft invoice", "Draft ", "92.81 USD, not issued yet"),
        ("Invoice", "", "92.81 USD due on 2026-12-09"),
        ("Invoice", "Paid 2026-11-30", "92.81 USD paid on 2026-11-30"),
        ("Invoice", "Void 2026-11-30", "Void since 2026-11-30, nothing to pay"),
        ("Invoice", "Uncollectible 2026-11-30", "92.81 USD uncollectible since 2026-11-30"),
    ];
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!((told.0, told.1.as_str(), told.2.as_str()), expected);
    }
    for status in InvoiceStatus::ALL {
        let page = html(&standing(usual(), status));
        assert_eq!(page.contains(&format!("<p class=\"mark {}\">", status.as_str())), status != InvoiceStatus::Open);
    }
}

#[test]
fn what_is_settled_in_other_ways_is_a_row_so_that_the_rest_adds_up() {
    let void = sheet(&standing(usual(), InvoiceStatus::Void));
    assert_eq!(sums(&void)[3..], [("Total (USD)", "92.81"), ("Paid", "0.00"), ("Void", "−92.81"), ("Amount due (USD)", "0.00")]);
    let mut credited = usual();
    credited.standing.credit_notes =
        vec![note_of("CN-000001", 1190, CreditOutcome::Reduced), note_of("CN-000002", 100, CreditOutcome::Balance)];
    credited.standing.due = credited.issued.total - Money(1190);
    let credited = sheet(&credited);
    assert_eq!(sums(&credited)[4..], [("Paid", "0.00"), ("Credit note CN-000001", "−11.90"), ("Amount due (USD)", "80.91")]);
    let notes = credited.credit_notes.unwrap();
    assert_eq!(notes.rows[0].cells, ["CN-000001", "2026-11-28", "1.90", "11.90"]);
    assert_eq!(notes.rows[1].detail.as_deref(), Some("Taken off the next invoices: An outage of <3 h>"));
}

#[test]
fn amounts_have_the_decimals_of_the_currency_everywhere() {
    for (currency, price, total) in [("JPY", "123,456", "246,912"), ("USD", "1,234.56", "2,469.12"), ("KWD", "123.456", "246.912")] {
        let invoice = invoice_of(currency, vec![priced("Seats", 2, 123_456)]);
        let page = html(&invoice);
        for amount in [price, total] {
            assert!(page.contains(&format!(">{amount}<")), "{currency} {amount}");
        }
        assert!(page.contains(&format!("{total}\u{a0}{currency} due on")), "{currency}");
    }
}

#[test]
fn an_inclusive_tax_adds_nothing_and_says_how_much_of_the_prices_it_is() {
    let sheet = sheet(&invoice_of("EUR", vec![priced("Plan", 1, 9900), tax_line(TaxTreatment::Inclusive, 0, 1581, None)]));
    assert_eq!(sums(&sheet)[1..3], [("VAT", "0.00"), ("Total (EUR)", "99.00")]);
    assert_eq!(sheet.sums[1].detail.as_deref(), Some("DE: 19\u{a0}%, included in the prices: 99.00 are 83.19 and 15.81 tax"));
}

#[test]
fn a_payment_is_told_as_its_provider_names_it() {
    let cases = [
        ("stripe", Some("pi_1"), "stripe: pi_1"),
        ("manual", Some("Bank transfer of 1 December"), "Bank transfer of 1 December"),
        ("manual", None, "Received"),
        ("credit", None, "Covered by credit"),
    ];
    for (provider, reference, expected) in cases {
        let mut invoice = standing(usual(), InvoiceStatus::Paid);
        invoice.standing.payment = Some(Payment { provider: provider.to_owned(), reference: reference.map(ToOwned::to_owned) });
        assert!(sheet(&invoice).facts.contains(&("Payment", expected.to_owned())), "{expected}");
    }
}

#[test]
fn a_customer_without_a_name_is_told_by_the_id_of_its_tenant() {
    let mut invoice = usual();
    invoice.issued.customer = Party::default();
    assert_eq!(sheet(&invoice).parties[1].lines, [TenantId::from_bytes([5; 16]).to_string()]);
    invoice.issued.customer.country = Some("US".to_owned());
    assert_eq!(sheet(&invoice).paper, Paper::Letter);
}

#[test]
fn a_credit_note_names_its_invoice_and_what_became_of_it() {
    let note = note_of("CN-000007", 1190, CreditOutcome::Refunded);
    let sheet = credit_note::sheet(&usual(), &note);
    assert_eq!((sheet.title().as_str(), sheet.headline.as_str()), ("Credit note CN-000007", "11.90\u{a0}USD credited on 2026-11-28"));
    assert_eq!(sums(&sheet), [("Subtotal", "10.00"), ("Tax", "1.90"), ("Total credited (USD)", "11.90")]);
    assert!(sheet.facts.contains(&("On invoice", "INV-000042 of 2026-11-25".to_owned())));
    let page = html_credit_note(&usual(), &note);
    assert!(page.contains("An outage of &lt;3 h&gt;") && page.contains("re_123"), "{page}");
    assert!(pdf_credit_note(&usual(), &note).unwrap().starts_with(b"%PDF-1.7"));
}

#[test]
fn what_others_wrote_is_text_in_html() {
    let mut invoice = usual();
    let evil = "</title><script>alert(1)</script><img src=x onerror='a()'>\"\u{202e}";
    invoice.issued.customer.name = Some(evil.to_owned());
    invoice.issued.customer.address = vec![evil.to_owned()];
    invoice.issued.number = evil.to_owned();
    invoice.issued.note = Some(evil.to_owned());
    invoice.issued.lines[0].description = evil.to_owned();
    invoice.issued.lines[1].description = evil.to_owned();
    invoice.standing.payment = Some(Payment { provider: evil.to_owned(), reference: Some(evil.to_owned()) });
    let page = html(&invoice);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    assert!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() >= 8, "{page}");
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}

#[test]
fn the_same_invoice_gives_the_same_octets() {
    let invoice = standing(usual(), InvoiceStatus::Paid);
    assert_eq!(pdf(&invoice).unwrap(), pdf(&invoice.clone()).unwrap());
    assert_eq!(html(&invoice), html(&invoice.clone()));
}

/// What customers may write.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-zÄÖüßŁőЖдλΩ ,.&-]{0,60}",
        2 => any::<String>(),
        1 => "\\PC{0,80}",
        1 => "[a-zΩЖ漢א]{200,400}",
        1 => "(e\u{301}|\u{202e}|\u{200d}|<b>|\n){0,40}",
    ]
}

prop_compose! {
    fn invoices()(
        lines in prop::collection::vec((text(), any::<i64>(), any::<i64>(), any::<u64>()), 1..300),
        words in prop::collection::vec(text(), 8),
        currency in prop::sample::select(vec!["USD", "JPY", "KWD"]),
        status in prop::sample::select(InvoiceStatus::ALL.to_vec()),
    ) -> Invoice {
        let lines = lines.into_iter().map(|(description, amount, price, quantity)| {
            Line { amount: Money(amount), unit_price: Money(price), quantity, ..priced(&description, 1, 1) }
        });
        let mut invoice = standing(invoice_of(currency, lines.collect()), status);
        let party = &mut invoice.issued.customer;
        party.name = Some(words[0].clone());
        party.address = words[1..4].to_vec();
        party.email = Some(words[4].clone());
        invoice.issued.note = Some(words[5].clone());
        invoice.issued.number = words[6].clone();
        invoice.issued.seller.name = Some(words[7].clone());
        invoice
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_invoice_becomes_both_documents_with_all_amounts(invoice in invoices()) {
        let page = html(&invoice);
        let laid = super::pdf::texts_of(&sheet(&invoice));
        let issued = &invoice.issued;
        let lines = issued.lines.iter().flat_map(|line| [line.amount, line.unit_price]);
        for amount in lines.chain([issued.subtotal(), issued.total, invoice.standing.due]) {
            let shown = texts::amount(amount, &issued.currency);
            prop_assert!(page.contains(&shown), "{shown} is not in the HTML");
            prop_assert!(invoice.standing.status == InvoiceStatus::Draft || laid.contains(&shown), "{shown} is not in the PDF");
        }
        prop_assert!(pdf(&invoice).unwrap().starts_with(b"%PDF-1.7"));
    }
}
