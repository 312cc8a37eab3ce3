//! `[context]`: whether the app is told of tenant and user in a way that it can verify.

use std::time::Duration;

use super::section::Section;
use super::values::{duration, expected, switch, text};

/// The signed context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Whether there is one.
    pub signed: bool,
    /// What its `iss` says.
    pub issuer: String,
    /// What its `aud` says.
    pub audience: String,
    /// How long it is good.
    pub lifetime: Duration,
    /// How old a key becomes.
    pub rotate: Duration,
}

/// Reads the table.
pub(super) fn read(section: &Section<'_>) -> Option<Context> {
    let signed = section.read("signed", switch);
    let name = |node: &super::tree::Node| {
        let text = text(node)?;
        let good = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(text.to_owned()) } else { Err(expected("a name without spaces", node)) }
    };
    let issuer = section.read("issuer", name);
    let audience = section.read("audience", name);
    let lifetime = section.read("lifetime", |node| {
        let lifetime = duration(node)?;
        let good = (Duration::from_secs(5)..=Duration::from_secs(3600)).contains(&lifetime);
        if good { Ok(lifetime) } else { Err(expected("a duration from \"5s\" to \"1h\"", node)) }
    });
    let rotate = section.read("rotate", |node| {
        let rotate = duration(node)?;
        if rotate >= Duration::from_secs(2 * 24 * 3600) { Ok(rotate) } else { Err(expected("at least \"2d\", since keys overlap", node)) }
    });
    section.finish();
    Some(Context { signed: signed?, issuer: issuer?, audience: audience?, lifetime: lifetime?, rotate: rotate? })
}
