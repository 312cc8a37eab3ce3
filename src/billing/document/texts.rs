//! Texts as people read them: amounts, counts, rates and dates; and what others wrote, fit to be printed.

use crate::billing::words::{count, grouped};
use crate::model::{Millis, Money, Span};

/// With the decimals of its currency, and thousands apart: `−1,234.50`.
pub fn amount(money: Money, currency: &str) -> String {
    let plain = money.decimal(currency);
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("−", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    format!("{sign}{}{fraction}", grouped(whole))
}

/// With its currency: `1,234.50 USD`.
pub fn amount_of(money: Money, currency: &str) -> String {
    format!("{}\u{a0}{}", amount(money, currency), line(currency))
}

/// The name of an amount, with its currency: `Total (USD)`.
pub fn in_currency(name: &str, currency: &str) -> String {
    format!("{name} ({})", line(currency))
}

/// A rate: `7.7 %`.
pub fn percent(parts_per_million: u32) -> String {
    let (whole, part) = (parts_per_million / 10_000, parts_per_million % 10_000);
    let part = format!("{part:04}");
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    format!("{}{point}{part}\u{a0}%", count(whole.into()))
}

/// The UTC date.
pub fn date(moment: Millis) -> String {
    moment.day().to_string()
}

/// The first and the last UTC date that it touches.
pub fn dates(span: &Span) -> String {
    let last = Millis(span.end.0.saturating_sub(1)).max(span.start);
    let (first, last) = (date(span.start), date(last));
    if first == last { first } else { format!("{first} – {last}") }
}

/// One line of what somebody wrote. Characters that no page shows are left out: among them those that turn the direction of what
/// follows, which could make an amount beside a name read backwards.
pub fn line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if is_space(character) {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !is_unprintable(character) {
            clean.push(character);
        }
    }
    clean.truncate(clean.trim_end_matches(' ').len());
    clean
}

/// The same where there is something left of it.
pub fn given(text: Option<&str>) -> Option<String> {
    text.map(line).filter(|text| !text.is_empty())
}

/// The lines of what somebody wrote, without empty ones.
pub fn lines(text: &str) -> Vec<String> {
    text.split(['\n', '\r', '\u{2028}', '\u{2029}']).map(line).filter(|line| !line.is_empty()).collect()
}

/// Spaces at which a line may end.
fn is_space(character: char) -> bool {
    character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

fn is_unprintable(character: char) -> bool {
    let code = u32::from(character);
    character.is_control()
        || matches!(code, 0x202a..=0x202e | 0x2066..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xfdd0..=0xfdef | 0xe0000..=0xe007f)
        || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency_and_thousands_apart() {
        let cases = [
            (0, "USD", "0.00"),
            (5, "EUR", "0.05"),
            (99_900, "USD", "999.00"),
            (123_456_789, "USD", "1,234,567.89"),
            (-123_450, "USD", "−1,234.50"),
            (1_234_567, "JPY", "1,234,567"),
            (-999, "JPY", "−999"),
            (1_234_567, "KWD", "1,234.567"),
            (1, "TND", "0.001"),
            (i64::MAX, "USD", "92,233,720,368,547,758.07"),
            (i64::MIN, "KWD", "−9,223,372,036,854,775.808"),
            (i64::MIN, "JPY", "−9,223,372,036,854,775,808"),
        ];
        for (minor, currency, expected) in cases {
            assert_eq!(amount(Money(minor), currency), expected);
        }
        assert_eq!(amount_of(Money(123_456), "USD"), "1,234.56\u{a0}USD");
    }

    #[test]
    fn rates_have_as_many_decimals_as_they_need() {
        let cases = [(190_000, "19"), (77_000, "7.7"), (0, "0"), (1, "0.0001"), (81_250, "8.125"), (1_000_000, "100")];
        for (parts, expected) in cases {
            assert_eq!(percent(parts), format!("{expected}\u{a0}%"));
        }
    }

    #[test]
    fn a_span_is_told_by_the_dates_that_it_touches() {
        let (day, hour) = (86_400_000, 3_600_000);
        let span = |start, end| dates(&Span { start: Millis(start), end: Millis(end) });
        assert_eq!(span(0, 31 * day), "1970-01-01 – 1970-01-31");
        assert_eq!(span(hour, 31 * day + hour), "1970-01-01 – 1970-02-01");
        assert_eq!(span(0, day), "1970-01-01");
        assert_eq!(span(hour, hour), "1970-01-01");
        assert_eq!(span(0, i64::MIN), "1970-01-01");
    }

    #[test]
    fn what_turns_or_breaks_a_line_is_left_out_and_names_stay_as_they_are() {
        let cases = [
            ("  Ünï\tcode\r\n & Co ", "Ünï code & Co"),
            ("evil\u{202e}0.001\u{2066}", "evil0.001"),
            ("nul\0 bell\u{7} \u{85}end\u{feff}", "nul bell end"),
            ("\u{e0041}tag\u{fffe}\u{10ffff}", "tag"),
            ("عربى \u{200f}שלום", "عربى \u{200f}שלום"),
            ("क\u{200d}ष 👩\u{200d}🚀", "क\u{200d}ष 👩\u{200d}🚀"),
            ("no\u{a0}break", "no\u{a0}break"),
            (" \u{3000} ", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected);
        }
        assert_eq!(lines("1 Main St\r\n\r\n Town\u{2028}X "), ["1 Main St", "Town", "X"]);
        assert_eq!(given(Some(" \u{202e} ")), None);
    }
}
