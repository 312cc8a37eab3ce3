//! What a tenant's members must look like. Each rule answers with the error of one member, so that all are told at once.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{FieldError, Plans};
use crate::config::{Config, did_you_mean};
use crate::model::party::is_country;
use crate::model::{Host, Origin, Party, Plan, Slug, TenantConfig, is_flag};

const MAX_UPSTREAMS: usize = 16;
/// `_gatehouse.` before it has to fit as well (RFC 1035, section 2.3.4).
const MAX_DOMAIN: usize = 242;
/// Each may be a zone, whose servers are asked for.
const MAX_LABELS: usize = 12;
const MAX_METADATA: usize = 16 * 1024;
const MAX_CONFIG: usize = 64 * 1024;

/// A name of 1 to 200 characters, without control characters.
pub(super) fn name(text: &str) -> Result<String, FieldError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(FieldError::new("/name", "invalid", "a name has 1 to 200 characters"));
    }
    Ok(name.to_owned())
}

/// A slug that no host of the operator's own has.
pub(super) fn slug(text: &str, config: &Config) -> Result<Slug, FieldError> {
    use crate::model::domain::SlugError;
    let slug = Slug::parse(text).map_err(|error| {
        let code = if matches!(error, SlugError::Reserved(_)) { "reserved" } else { "invalid" };
        FieldError::new("/slug", code, error.to_string())
    })?;
    let own = |host: &Host| host.label_under(&config.tenancy.base_domain) == Some(slug.as_str());
    if config.tenancy.api_hosts.iter().any(own) {
        return Err(FieldError::new("/slug", "reserved", format!("`{slug}` is the name of an api host; choose another slug")));
    }
    Ok(slug)
}

/// A plan of the catalogue.
pub(super) fn plan(text: &str, plans: &Plans) -> Result<Arc<Plan>, FieldError> {
    plans.latest(text).ok_or_else(|| unknown_plan(text, "/plan", plans))
}

/// The name of a plan that there is, offered or not.
pub(super) fn known_plan(text: &str, pointer: &str, plans: &Plans) -> Result<(), FieldError> {
    if plans.all(Some(text)).is_empty() { Err(unknown_plan(text, pointer, plans)) } else { Ok(()) }
}

fn unknown_plan(text: &str, pointer: &str, plans: &Plans) -> FieldError {
    let offered = plans.offered();
    let names: Vec<&str> = offered.iter().map(|plan| plan.name.as_str()).collect();
    let hint = did_you_mean(text, names.iter().copied());
    let detail = format!("there is no plan `{}`{hint}; the plans are {}", shown(text), names.join(", "));
    FieldError::new(pointer, "unknown_plan", detail)
}

/// A domain that a customer can own and the gateway does not.
pub(super) fn domain(text: &str, pointer: &str, config: &Config) -> Result<Host, FieldError> {
    let wrong = |code, detail| FieldError::new(pointer, code, detail);
    if !config.tenancy.custom_domains {
        return Err(wrong("not_enabled", "custom domains are switched off (tenancy.custom_domains)".to_owned()));
    }
    if let Some(rest) = text.trim().strip_prefix("*.") {
        return Err(wrong("invalid", format!("a wildcard cannot be claimed; claim each name below `{}` by itself", shown(rest))));
    }
    let domain = Host::parse_domain(text.trim()).map_err(|error| wrong("invalid", error.to_string()))?;
    if domain.as_str().len() > MAX_DOMAIN || domain.as_str().split('.').count() > MAX_LABELS {
        return Err(wrong("too_long", format!("a domain has at most {MAX_DOMAIN} characters and {MAX_LABELS} labels here")));
    }
    if domain.as_str().contains('_') {
        return Err(wrong("invalid", format!("`{domain}` has an underscore, which names of web sites do not have")));
    }
    if psl::suffix_str(domain.as_str()) == Some(domain.as_str()) {
        return Err(wrong("public_suffix", format!("`{domain}` is a public suffix, under which others register; claim a name below it")));
    }
    let base = &config.tenancy.base_domain;
    if domain.is_within(base) {
        return Err(wrong("reserved", format!("`{domain}` lies under the base domain {base}; tenants have their slug there")));
    }
    if base.is_within(&domain) || config.tenancy.api_hosts.contains(&domain) {
        return Err(wrong("reserved", format!("`{domain}` is one of the gateway's own hosts")));
    }
    Ok(domain)
}

/// Whom invoices are issued to, after a merge patch; `null` empties it.
pub(super) fn party(current: &Party, patch: &Value) -> Result<Party, Vec<FieldError>> {
    const MEMBERS: [&str; 6] = ["name", "address", "country", "vatId", "email", "taxExempt"];
    let wrong = |name: &str, detail: &str| FieldError::new(format!("/billing/{name}"), "invalid", detail);
    let Value::Object(members) = patch else {
        return if patch.is_null() {
            Ok(Party::default())
        } else {
            Err(vec![FieldError::new("/billing", "invalid_type", "billing is an object")])
        };
    };
    let unknown = members.keys().filter(|name| !MEMBERS.contains(&name.as_str()));
    let mut errors: Vec<FieldError> = unknown.map(|name| unknown_member(name, &format!("/billing/{}", escaped(name)), &MEMBERS)).collect();
    let mut merged = serde_json::to_value(current).unwrap_or_default();
    merge(&mut merged, patch);
    let is_short = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= 200 && !text.chars().any(char::is_control));
    for name in ["name", "vatId", "email"] {
        if merged.get(name).is_some_and(|value| !is_short(value)) {
            errors.push(wrong(name, "a text of at most 200 characters"));
        }
    }
    if merged.get("address").is_some_and(|lines| !lines.as_array().is_some_and(|lines| lines.len() <= 10 && lines.iter().all(is_short))) {
        errors.push(wrong("address", "a list of at most 10 lines, each of at most 200 characters"));
    }
    // What is stored as it is stays where it is not named.
    let given = |name: &str| members.get(name).filter(|value| !value.is_null());
    if given("country").is_some_and(|code| !code.as_str().is_some_and(is_country)) {
        errors.push(wrong("country", "an ISO 3166 code such as \"DE\" (\"GB\" for the United Kingdom)"));
    }
    if given("email").and_then(Value::as_str).is_some_and(|email| !is_email(email)) {
        errors.push(wrong("email", "an address such as \"billing@example.com\""));
    }
    if merged.get("taxExempt").is_some_and(|value| !value.is_boolean()) {
        errors.push(wrong("taxExempt", "true or false"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let party: Party = serde_json::from_value(merged).map_err(|error| vec![FieldError::new("/billing", "invalid", error.to_string())])?;
    match (&party.vat_id, &party.country) {
        (Some(id), Some(country)) if !is_vat_id(id, country) => {
            let detail = format!("a VAT id of {country} begins with its prefix and has 2 to 13 letters and digits after it");
            Err(vec![wrong("vatId", &detail)])
        }
        (Some(_), None) => Err(vec![wrong("vatId", "a VAT id needs the country that it is of")]),
        _ => Ok(party),
    }
}

/// Something at a place; whether anybody reads it, no form tells.
fn is_email(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.contains([' ', '@']);
    text.rsplit_once('@').is_some_and(|(who, place)| is_part(who) && is_part(place))
}

/// The form of a VAT identification number: a country's prefix and 2 to 13 letters and digits (Directive 2006/112/EC, article 215:
/// ISO 3166 codes, but `EL` for Greece; numbers in use have at most 12 after it, 13 leaves room for others).
fn is_vat_id(id: &str, country: &str) -> bool {
    let prefix = if country == "GR" { "EL" } else { country };
    id.strip_prefix(prefix).is_some_and(|rest| (2..=13).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Origins by form; whether they may be reached is asked of the resolver.
pub(super) fn upstream(texts: &[String]) -> Result<Vec<Origin>, FieldError> {
    if texts.len() > MAX_UPSTREAMS {
        return Err(FieldError::new("/upstream", "too_long", format!("at most {MAX_UPSTREAMS} upstreams")));
    }
    texts.iter().map(|text| Origin::parse(text).map_err(|error| FieldError::new("/upstream", "invalid", error.to_string()))).collect()
}

/// Metadata after a merge patch; `null` empties it.
pub(super) fn metadata(current: &Map<String, Value>, patch: &Value) -> Result<Map<String, Value>, FieldError> {
    let mut merged = Value::Object(current.clone());
    match patch {
        Value::Null => merged = Value::Object(Map::new()),
        Value::Object(_) => merge(&mut merged, patch),
        _ => return Err(FieldError::new("/metadata", "invalid_type", "metadata is an object")),
    }
    if merged.to_string().len() > MAX_METADATA {
        return Err(FieldError::new("/metadata", "too_long", "metadata has at most 16 KiB"));
    }
    Ok(if let Value::Object(map) = merged { map } else { Map::new() })
}

/// A tenant's config after a merge patch (RFC 7396). `at` is the pointer to the patch.
pub(super) fn config_patch(current: &TenantConfig, patch: &Value, at: &str, config: &Config) -> Result<TenantConfig, Vec<FieldError>> {
    let Value::Object(members) = patch else {
        return Err(vec![FieldError::new(at, "invalid_type", "config is an object with branding, features and settings")]);
    };
    let mut errors = Vec::new();
    for (name, value) in members {
        let pointer = format!("{at}/{}", escaped(name));
        match name.as_str() {
            "branding" | "features" | "settings" if !(value.is_object() || value.is_null()) => {
                errors.push(FieldError::new(pointer, "invalid_type", format!("{name} is an object")));
            }
            "features" => errors.extend(feature_errors(value, &pointer, config)),
            "branding" => errors.extend(branding_errors(value, &pointer)),
            "settings" => {}
            _ => errors.push(unknown_member(name, &pointer, &["branding", "features", "settings"])),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    merged_config(current, patch).map_err(|error| vec![FieldError::new(at, "invalid", error)])
}

fn merged_config(current: &TenantConfig, patch: &Value) -> Result<TenantConfig, String> {
    let mut merged = serde_json::to_value(current).map_err(|error| error.to_string())?;
    merge(&mut merged, patch);
    for part in ["branding", "features", "settings"] {
        // A part that was removed is empty, not missing.
        merged.as_object_mut().map(|members| members.entry(part).or_insert_with(|| Value::Object(Map::new())));
    }
    if merged.to_string().len() > MAX_CONFIG {
        return Err("a tenant's config has at most 64 KiB".to_owned());
    }
    serde_json::from_value(merged).map_err(|error| error.to_string())
}

/// The name of a flag, and whether it may be on in this deployment.
pub(super) fn flag(name: &str, pointer: &str, on: bool, config: &Config) -> Result<(), FieldError> {
    if !is_flag(name) {
        let detail = format!("`{}` is not a flag: a letter, then at most 63 letters, digits or `_ . -`", shown(name));
        return Err(FieldError::new(pointer, "invalid_name", detail));
    }
    if on && name == "sso" && !config.features.sso {
        return Err(FieldError::new(pointer, "not_enabled", "sso is switched off in this deployment (features.sso)"));
    }
    Ok(())
}

fn feature_errors(features: &Value, at: &str, config: &Config) -> Vec<FieldError> {
    let members = features.as_object().into_iter().flatten();
    let wrong = members.filter_map(|(name, value)| {
        let pointer = format!("{at}/{}", escaped(name));
        match value {
            Value::Null => None,
            Value::Bool(on) => flag(name, &pointer, *on, config).err(),
            _ => Some(FieldError::new(pointer, "invalid_type", "a feature is true or false (null removes it)")),
        }
    });
    wrong.collect()
}

fn branding_errors(branding: &Value, at: &str) -> Vec<FieldError> {
    let members = branding.as_object().into_iter().flatten();
    let named = members.filter(|(name, _)| matches!(name.as_str(), "primaryColor" | "logo" | "favicon"));
    let wrong = named.filter(|(_, value)| !(value.is_null() || value.as_str().is_some_and(|text| text.len() <= 2048)));
    wrong.map(|(name, _)| FieldError::new(format!("{at}/{name}"), "invalid_type", "a text of at most 2048 characters")).collect()
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(into) = target else { return };
    for (name, value) in members {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// An error for a member that is not known, with the one that was probably meant.
pub(super) fn unknown_member(name: &str, pointer: &str, known: &[&str]) -> FieldError {
    let hint = did_you_mean(name, known.iter().copied());
    FieldError::new(pointer, "unknown_member", format!("there is no member `{}`{hint}", shown(name)))
}

/// A reference token of a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patches_follow_rfc_7396() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": "foo"}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        ];
        for (mut target, patch, expected) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }
}
