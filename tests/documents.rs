//! Printed invoices, read by programs that nobody here wrote: what a PDF reader searches for is there, an HTML parser finds the same
//! amounts, and a browser prints the page and runs nothing of what a customer wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gatehouse::billing::document;
use gatehouse::model::Invoice;
use serde_json::{Value, json};

use crate::support::peers::{debian, python, run};

const DAY: i64 = 86_400_000;
/// 2026-11-25.
const ISSUED: i64 = 1_795_564_800_000;
const HOSTILE: &str = "</title></style><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> '\"\u{202e}";
const CUSTOMER: &str = "Ελληνικά Γράμματα, Пётр Щукин & Łódź Nguyễn Ật";

/// An invoice of so many lines as the store keeps it.
fn invoice(currency: &str, amounts: &[i64], change: impl FnOnce(&mut Value)) -> Invoice {
    let span = json!({"start": ISSUED, "end": ISSUED + 30 * DAY});
    let lines: Vec<Value> = amounts
        .iter()
        .enumerate()
        .map(|(number, amount)| {
            json!({"kind": "addon", "description": format!("Line {number} of Ünïcode"), "quantity": 1, "unitPrice": amount,
                   "amount": amount, "period": span, "inputs": {"rule": "price", "priceMinor": amount, "quantity": 1, "of": "seats"}})
        })
        .collect();
    let total: i64 = amounts.iter().sum();
    let mut invoice = json!({
        "id": format!("inv_{}", "07".repeat(16)),
        "issued": {
            "number": "INV-000042", "tenantId": format!("tenant_{}", "05".repeat(16)), "currency": currency, "reason": "period",
            "seller": {"name": "Straßenbau GmbH", "address": ["Große Straße 1"], "country": "DE", "vatId": "DE123456789"},
            "customer": {"name": CUSTOMER, "address": ["e\u{301}tage 5", "株式会社"], "country": "GR"},
            "period": span, "lines": lines, "total": total, "issuedAt": ISSUED, "dueAt": ISSUED + 14 * DAY,
        },
        "standing": {"status": "paid", "since": ISSUED + DAY, "due": 0, "paid": total, "paidAt": ISSUED + DAY},
    });
    change(&mut invoice);
    serde_json::from_value(invoice).expect("an invoice")
}

/// A file in a folder that lasts as long as the test.
fn kept(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Its text as a PDF reader copies it, with single spaces.
fn text_of(pdf: &Path) -> String {
    let text = run(Command::new(debian("pdftotext", "poppler-utils")).arg("-layout").arg(pdf).arg("-"));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn pdf_readers_find_every_name_amount_and_page_number() {
    let folder = tempfile::tempdir().unwrap();
    let amounts: Vec<i64> = (0..120).map(|number| 123_400_000 + number).collect();
    let issued = invoice("USD", &amounts, |_| {});
    let file = kept(folder.path(), "invoice.pdf", &document::pdf(&issued).unwrap());

    let verdict = run(Command::new(debian("qpdf", "qpdf")).arg("--check").arg(&file));
    assert!(verdict.contains("No syntax or stream encoding errors"), "{verdict}");
    let facts = run(Command::new(debian("pdfinfo", "poppler-utils")).arg(&file));
    let fact = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!((fact("Title:"), fact("Author:")), ("Invoice INV-000042".to_owned(), "Straßenbau GmbH".to_owned()));
    assert_eq!(fact("Page size:"), "595 x 842 pts (A4)");
    let fonts = run(Command::new(debian("pdffonts", "poppler-utils")).arg(&file));
    assert_eq!(fonts.matches(" yes yes yes ").count(), 2, "embedded, in part, with the characters: {fonts}");

    let text = text_of(&file);
    let pages: usize = fact("Pages:").parse().unwrap();
    assert!(pages > 3, "{pages}");
    for page in 1..=pages {
        assert!(text.contains(&format!("Page {page} of {pages}")), "{text}");
    }
    assert_eq!(text.matches("Description Service period Quantity Unit price Amount").count(), pages, "{text}");
    for (number, cents) in (0..120).enumerate() {
        let amount = format!("1,234,{:03}.{:02}", cents / 100, cents % 100);
        let row = format!("Line {number} of Ünïcode 2026-11-25 – 2026-12-24 1 {amount} {amount}");
        assert!(text.contains(&row), "{row}: {text}");
    }
    // What the font lacks is shown as boxes, and found all the same.
    for name in [CUSTOMER, "Straßenbau GmbH", "étage 5", "株式会社", "PAID 2026-11-26", "Total (USD) 148,080,071.40"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn pdf_readers_find_amounts_of_every_number_of_decimals_however_large() {
    let folder = tempfile::tempdir().unwrap();
    for (currency, shown) in [
        ("JPY", ["−9,223,372,036,854,775,808", "5", "1,234,567"]),
        ("USD", ["−92,233,720,368,547,758.08", "0.05", "12,345.67"]),
        ("KWD", ["−9,223,372,036,854,775.808", "0.005", "1,234.567"]),
    ] {
        let issued = invoice(currency, &[5, 1_234_567], |invoice| invoice["issued"]["lines"][0]["unitPrice"] = json!(i64::MIN));
        let text = text_of(&kept(folder.path(), currency, &document::pdf(&issued).unwrap()));
        for amount in shown {
            assert!(text.split(' ').any(|word| word == amount), "{amount}: {text}");
        }
    }
}

/// What a parser finds in a page.
fn read(page: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = kept(folder.path(), "page.html", page.as_bytes());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/read.py");
    let mut parser = Command::new(python(&["html5lib==1.1"]));
    let output = parser.arg(script).stdin(Stdio::from(std::fs::File::open(file).unwrap())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is written by others, hostile wherever that is possible.
fn hostile(invoice: &mut Value) {
    let issued = &mut invoice["issued"];
    for party in ["seller", "customer"] {
        issued[party] = json!({"name": HOSTILE, "address": [HOSTILE], "country": HOSTILE, "vatId": HOSTILE, "email": HOSTILE});
    }
    issued["note"] = json!(HOSTILE);
    issued["lines"][0]["description"] = json!(HOSTILE);
    invoice["standing"]["payment"] = json!({"provider": HOSTILE, "reference": HOSTILE});
}

#[test]
fn an_html_parser_finds_the_amounts_and_no_markup_of_others() {
    let page = document::html(&invoice("EUR", &[990_000, -123_456], hostile));
    let found = read(&page);
    assert_eq!(found["faults"], json!([]));
    let elements =
        "bdi body caption dd div dl dt h1 h2 head header html main meta p section span style table tbody td th thead time title tr";
    for element in found["elements"].as_array().unwrap() {
        assert!(elements.split(' ').any(|known| element == known), "{element}");
    }
    let attributes = "aria-label charset class content datetime dir http-equiv lang name scope";
    for attribute in found["attributes"].as_array().unwrap() {
        assert!(attributes.split(' ').any(|known| attribute == known), "{attribute}");
    }
    assert_eq!((&found["lang"], &found["title"]), (&json!("en"), &json!("Invoice INV-000042")));
    assert_eq!(found["scopes"], json!(["col", "row"]));
    let plain = HOSTILE.replace('\u{202e}', "");
    let expected = json!([
        ["Description", "Service period", "Quantity", "Unit price", "Amount"],
        [plain, "2026-11-25 – 2026-12-24", "1", "9,900.00", "9,900.00"],
        ["Line 1 of Ünïcode", "2026-11-25 – 2026-12-24", "1", "−1,234.56", "−1,234.56"],
        ["Subtotal", "8,665.44"],
        ["Total (EUR)", "8,665.44"],
        ["PaidOn 2026-11-26", "−8,665.44"],
        ["Amount due (EUR)", "0.00"],
    ]);
    assert_eq!(found["rows"], expected);
    assert!(found["body"].as_str().unwrap().matches(&plain).count() >= 10, "{found}");
    for outside in ["url(", "src=\"", "href", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_browser_prints_the_page_and_runs_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let chromium = debian("chromium", "chromium");
    let amounts: Vec<i64> = (0..90).map(|number| 50_000 + number).collect();
    let page = document::html(&invoice("USD", &amounts, hostile));
    let file = kept(folder.path(), "page.html", page.as_bytes());
    let browser = || {
        let mut browser = Command::new(&chromium);
        browser.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-pdf-header-footer",
        ]);
        browser.env("HOME", folder.path()).arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        browser
    };
    let seen = run(browser().arg("--dump-dom").arg(&file));
    assert!(seen.contains("<title>Invoice INV-000042</title>") && !seen.contains("<script"), "{seen}");

    let printed = folder.path().join("printed.pdf");
    run(browser().arg(format!("--print-to-pdf={}", printed.display())).arg(&file));
    let text = text_of(&printed);
    // The style is in force, or the mark would not be in capitals: the page's policy lets its own style through.
    assert!(text.contains("PAID 2026-11-26") && text.contains("Total (USD) 45,040.05"), "{text}");
    let heads = text.matches("Description Service period").count();
    assert!(heads > 2 && text.contains(&format!("Page {heads} of")), "the head stands on {heads} pages: {text}");
}
