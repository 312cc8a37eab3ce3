//! No text and no environment makes loading panic or hang, and what loads holds the promises of its types.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config::{Config, shipped};

/// Pieces that are near enough to a configuration to get past the first check.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "\n",
        ".",
        ",",
        "\"",
        "\"\"\"",
        "'",
        "#",
        "\\",
        "\\u0000",
        "true",
        "0",
        "-1",
        "1.5",
        "1e9",
        "inf",
        "0x1F",
        "9999999999999999999999",
        "1979-05-27",
        "\"\"",
        "\"unlimited\"",
        "\"0s\"",
        "\"18446744073709551615TiB\"",
        "[listen]\n",
        "[plans.x]\n",
        "[[route]]\n",
        "plans",
        "pro",
        "rate",
        "price_monthly",
        "overage",
        "listen.http",
        "\"a\"",
        "é",
        "\u{0}",
        "\u{feff}",
        "__",
        " ",
    ];
    prop_oneof![4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => any::<String>().prop_map(|it| it.chars().take(20).collect())]
}

fn holds(config: &Config) {
    assert!(!config.plans.is_empty() && !config.upstream.default.is_empty() && config.listen.workers >= 1);
    assert!(config.limits.max_header_bytes >= 1024 && (1..=256).contains(&config.limits.max_headers));
    assert!(
        config.plans.values().all(|plan| plan.price_monthly.0 >= 0 && plan.rate.is_none_or(|rate| rate.per_second > 0 && rate.burst > 0))
    );
    assert!(config.admin.token.is_some() || config.listen.admin.ip().to_canonical().is_loopback());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_files_load_or_are_refused(at in 0.0..1.0_f64, cut in 0_usize..40, pieces in vec(piece(), 0..4)) {
        let mut text: Vec<char> = shipped::TEXT.chars().collect();
        let start = ((text.len() as f64) * at) as usize;
        text.splice(start..(start + cut).min(text.len()), pieces.concat().chars());
        match Config::from_toml(&text.into_iter().collect::<String>()) {
            Ok(config) => holds(&config),
            Err(errors) => prop_assert!(errors.iter().count() > 0 && !errors.to_string().is_empty()),
        }
    }

    #[test]
    fn soups_of_pieces_load_or_are_refused(pieces in vec(piece(), 0..60)) {
        if let Ok(config) = Config::from_toml(&pieces.concat()) {
            holds(&config);
        }
    }

    #[test]
    fn any_environment_loads_or_is_refused(
        names in vec(prop_oneof![Just("LISTEN__HTTP"), Just("PLANS__PRO__RATE"), Just("PLANS__PRO__OVERAGE__STORAGE__PER"), Just("ROUTE__X"), Just("__"), Just("TLS__ACME"), Just("A__B__C__D__E__F__G__H__I")], 0..4),
        values in vec(piece(), 4),
    ) {
        let env = names.into_iter().zip(values).map(|(name, value)| (format!("GATEHOUSE_{name}"), value));
        if let Ok(config) = Config::load(None, env, []) {
            holds(&config);
        }
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for text in ["a.".repeat(100_000) + "b = 1", "x = ".to_owned() + &"[".repeat(100_000), "x = ".to_owned() + &"{ a = ".repeat(100_000)] {
        assert!(Config::from_toml(&text).is_err());
    }
    let flag = (vec!["a"; 50_000].join("."), "1".to_owned());
    assert!(Config::load(None, [], [flag]).is_err());
}
