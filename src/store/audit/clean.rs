//! What is taken out of a row before it is written: secrets, and characters that a terminal would act on.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::AuditRow;
use crate::model::plain;

/// Stands for a secret.
const REDACTED: &str = "[redacted]";
/// Members whose names have one of these, without regard to case and separators, are secret.
const SECRET_NAMES: [&str; 10] =
    ["secret", "token", "password", "passwd", "passphrase", "authorization", "apikey", "privatekey", "credential", "cookie"];
/// Words that begin like this, and go on for long, are secret wherever they are.
const SECRET_WORDS: [&str; 9] = ["eyJ", "gh_live_", "gh_test_", "gh_admin_", "whsec_", "sk_live_", "sk_test_", "rk_live_", "rk_test_"];
/// So many characters after one of these are more than the beginning that is shown of a key.
const LONG: usize = 16;

/// The row without them.
pub(super) fn row(row: AuditRow) -> AuditRow {
    let AuditRow { time, actor, source, action, tenant_id, before, after, request_id, reason } = row;
    let text = |text: Option<String>| text.map(|it| cleaned(&it).into_owned());
    AuditRow {
        time,
        actor: cleaned(&actor).into_owned(),
        source: text(source),
        action,
        tenant_id,
        before: before.map(|it| value(it, false)),
        after: after.map(|it| value(it, false)),
        request_id: text(request_id),
        reason: text(reason),
    }
}

fn value(from: Value, is_secret: bool) -> Value {
    match from {
        Value::String(_) | Value::Number(_) if is_secret => Value::from(REDACTED),
        Value::String(text) => match cleaned(&text) {
            Cow::Borrowed(_) => Value::String(text),
            Cow::Owned(text) => Value::String(text),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(|item| value(item, is_secret)).collect()),
        Value::Object(members) => {
            let cleaned_member = |(name, member): (String, Value)| {
                let is_secret = is_secret || is_secret_name(&name);
                (plain(&name).into_owned(), value(member, is_secret))
            };
            Value::Object(members.into_iter().map(cleaned_member).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_secret_name(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let is_short = letters.ends_with("pass") || letters.ends_with("pwd") || matches!(letters.as_str(), "auth" | "bearer");
    is_short || SECRET_NAMES.iter().any(|secret| letters.contains(secret))
}

fn cleaned(text: &str) -> Cow<'_, str> {
    let mut shown = plain(text);
    // Most texts have nothing of the kind.
    if shown.contains("://") {
        shown = Cow::Owned(without_user(&shown));
    }
    if SECRET_WORDS.iter().any(|word| shown.contains(word)) {
        shown = Cow::Owned(without_words(&shown));
    }
    shown
}

/// URLs without the part before `@` in their authority.
fn without_user(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|it: char| matches!(it, '/' | '?' | '#' | '"' | '\\') || it.is_whitespace()).unwrap_or(after.len());
        let (authority, after) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.extend([REDACTED, "@", host]),
            None => shown.push_str(authority),
        }
        rest = after;
    }
    shown + rest
}

fn without_words(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((at, word)) = SECRET_WORDS.iter().filter_map(|word| Some((rest.find(word)?, word))).min() {
        let (before, after) = rest.split_at(at + word.len());
        shown.push_str(before);
        let end = after.find(|it: char| !it.is_ascii_alphanumeric() && !"_-+/=".contains(it)).unwrap_or(after.len());
        let (secret, after) = after.split_at(end);
        shown.push_str(if secret.len() >= LONG { REDACTED } else { secret });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_taken_out_of_members_urls_and_text_and_the_rest_stays() {
        let before = json!({
            "name": "Acme", "webhookSecret": "abc", "API-Key": "k", "tokens": ["a", 5, true, null], "auth": {"password": {"old": "x"}},
            "upstream": "http://user:p@ss@app.test:80/a?b=c@d", "plain": "http://app.test/@x", "prefix": "gh_live_AbCd12",
            "note": "use gh_live_0123456789abcdefghijXYZ, please", "limit": 5, "esc": "a\u{1b}[1m",
        });
        let shown = json!({
            "name": "Acme", "webhookSecret": REDACTED, "API-Key": REDACTED, "tokens": [REDACTED, REDACTED, true, null],
            "auth": {"password": {"old": REDACTED}}, "upstream": "http://[redacted]@app.test:80/a?b=c@d", "plain": "http://app.test/@x",
            "prefix": "gh_live_AbCd12", "note": "use gh_live_[redacted], please", "limit": 5, "esc": "a\\u{1b}[1m",
        });
        assert_eq!(value(before, false), shown);
    }
}
