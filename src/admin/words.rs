//! What is wrong with a JSON value, in words of JSON: `expected a whole number, found the text "x"`.

/// The most characters that are shown of what was sent.
const MOST_SHOWN: usize = 80;

/// A message of serde, such as `invalid type: string "x", expected i64`, which names types of this program. Others stay as they are.
pub fn in_json_words(message: &str) -> String {
    let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    // What was sent may say `, expected ` as well; the last one is serde's.
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("expected {}, found {}", type_of(expected), value_of(found)),
        None => message.to_owned(),
    }
}

fn type_of(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "nonzero u32" => "a whole number, not below 0 and not too large",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string or map" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") || other == "variant identifier" => "a word",
        other => other,
    }
}

fn value_of(found: &str) -> String {
    let quoted = |text: &str| text.trim_matches('`').to_owned();
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {}", short(text)),
        Some(("integer", number)) => format!("the number {}", quoted(number)),
        Some(("floating", rest)) => format!("the number {}", quoted(rest.trim_start_matches("point "))),
        Some(("boolean", word)) => quoted(word),
        _ => match found {
            "map" => "an object".to_owned(),
            "sequence" => "a list".to_owned(),
            "unit value" => "null".to_owned(),
            other => short(other),
        },
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MOST_SHOWN { text.to_owned() } else { text.chars().take(MOST_SHOWN).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Thing {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    fn said<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        in_json_words(&serde_json::from_value::<T>(value).unwrap_err().to_string())
    }

    #[test]
    fn no_type_of_this_program_is_named() {
        assert_eq!(said::<i64>(json!("x, expected y")), "expected a whole number, found the text \"x, expected y\"");
        assert_eq!(said::<u32>(json!(-1)), "expected a whole number, not below 0 and not too large, found the number -1");
        assert_eq!(said::<u64>(json!(1.5)), "expected a whole number, not below 0 and not too large, found the number 1.5");
        assert_eq!(said::<f64>(json!(true)), "expected a number, found true");
        assert_eq!(said::<bool>(json!({})), "expected true or false, found an object");
        assert_eq!(said::<String>(json!(null)), "expected a text, found null");
        assert_eq!(said::<Vec<u8>>(json!({"a": 1})), "expected a list, found an object");
        assert_eq!(said::<BTreeMap<String, bool>>(json!([])), "expected an object, found a list");
        assert_eq!(said::<Thing>(json!(5)), "expected an object, found the number 5");
        assert_eq!(said::<Word>(json!("three")), "unknown variant `three`, expected `one` or `two`");
        assert!(said::<Word>(json!(5)).starts_with("expected "));
        assert!(said::<i64>(json!("x".repeat(10_000))).len() < 200);
    }
}
