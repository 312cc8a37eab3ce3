//! A sheet as one page of HTML that asks for nothing else: no script, no request, and all that others wrote is text.

mod escape;

use std::fmt::Write;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sheet::{Block, Mark, Sheet, Sum, Table};
use escape::Escaped;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and nothing runs; of styles, this page's own.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// What a browser lets the page do; it says so itself, for one that is kept as a file.
pub fn policy() -> &'static str {
    POLICY.as_str()
}

/// The page.
pub fn page(sheet: &Sheet) -> String {
    let mut page = String::with_capacity(STYLE.len() + 4096 + sheet.table.rows.len() * 512);
    // Writing into a text cannot fail.
    let _ = write(&mut page, sheet);
    page
}

fn write(page: &mut String, sheet: &Sheet) -> std::fmt::Result {
    let title = sheet.title();
    let (title, policy) = (Escaped(&title), policy());
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{}</h1>\n",
        sheet.heading
    )?;
    if let Some(mark) = &sheet.mark {
        stamp(page, mark)?;
    }
    page.push_str("</header>\n<dl>\n");
    for (name, value) in &sheet.facts {
        writeln!(page, "<dt>{name}</dt><dd dir=\"auto\">{}</dd>", Escaped(value))?;
    }
    page.push_str("</dl>\n<div class=\"parties\">\n");
    for block in &sheet.parties {
        party(page, block)?;
    }
    writeln!(page, "</div>\n<p class=\"headline\">{}</p>", Escaped(&sheet.headline))?;
    table(page, &sheet.table, "lines")?;
    sums(page, &sheet.sums)?;
    if let Some(notes) = &sheet.credit_notes {
        table(page, notes, "credits")?;
    }
    if !sheet.notes.is_empty() {
        page.push_str("<section class=\"notes\" aria-label=\"Notes\">\n");
        for note in &sheet.notes {
            writeln!(page, "<p dir=\"auto\">{}</p>", Escaped(note))?;
        }
        page.push_str("</section>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn stamp(page: &mut String, mark: &Mark) -> std::fmt::Result {
    let since = mark.since.as_ref().map(|date| format!(" <time datetime=\"{date}\">{date}</time>")).unwrap_or_default();
    writeln!(page, "<p class=\"mark {}\">{}{since}</p>", mark.status.as_str(), mark.word)
}

fn party(page: &mut String, block: &Block) -> std::fmt::Result {
    writeln!(page, "<section>\n<h2>{}</h2>", block.heading)?;
    for line in &block.lines {
        writeln!(page, "<p dir=\"auto\">{}</p>", Escaped(line))?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn table(page: &mut String, table: &Table, class: &str) -> std::fmt::Result {
    let dense = if is_wide(table) { " dense" } else { "" };
    write!(page, "<table class=\"{class}{dense}\">\n<caption>{}</caption>\n<thead>\n<tr>", table.caption)?;
    let class_of = |place: usize| match table.columns.get(place) {
        Some(column) if column.is_number => " class=\"number\"",
        Some(_) if place > 0 => " class=\"short\"",
        _ => "",
    };
    for (place, column) in table.columns.iter().enumerate() {
        write!(page, "<th scope=\"col\"{}>{}</th>", class_of(place), Escaped(&column.head))?;
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (place, cell) in row.cells.iter().enumerate() {
            write!(page, "<td{}><bdi>{}</bdi>", class_of(place), Escaped(cell))?;
            if let (0, Some(detail)) = (place, &row.detail) {
                write!(page, "<span class=\"detail\" dir=\"auto\">{}</span>", Escaped(detail))?;
            }
            page.push_str("</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

/// Its numbers would leave no room for a description on paper.
fn is_wide(table: &Table) -> bool {
    let widest = |place: usize| table.rows.iter().filter_map(|row| row.cells.get(place)).map(|cell| cell.chars().count()).max();
    (1..table.columns.len()).filter_map(widest).sum::<usize>() > 70
}

fn sums(page: &mut String, sums: &[Sum]) -> std::fmt::Result {
    page.push_str("<table class=\"sums\" aria-label=\"Sums\">\n<tbody>\n");
    for sum in sums {
        let class = if sum.is_total { " class=\"total\"" } else { "" };
        write!(page, "<tr{class}><th scope=\"row\"><bdi>{}</bdi>", Escaped(&sum.label))?;
        if let Some(detail) = &sum.detail {
            write!(page, "<span class=\"detail\" dir=\"auto\">{}</span>", Escaped(detail))?;
        }
        writeln!(page, "</th><td class=\"number\">{}</td></tr>", Escaped(&sum.amount))?;
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}
