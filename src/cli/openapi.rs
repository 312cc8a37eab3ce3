//! `gatehouse openapi`: the document of the admin API.

use clap::Args;

/// Print the admin API's OpenAPI 3.1 document
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gatehouse openapi > openapi.json")]
pub(super) struct Openapi {}

impl Openapi {
    pub fn execute(self) -> anyhow::Result<()> {
        Ok(super::print(&format!("{}\n", crate::admin::openapi_json()))?)
    }
}
