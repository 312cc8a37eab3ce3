//! Who buys and who sells, as an invoice names them.

use serde::{Deserialize, Serialize};

/// One side of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Party {
    /// The company or person; the tenant's name where a customer gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Street, town, and so on, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub address: Vec<String>,
    /// ISO 3166 code; it decides the tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Number of the company for value added tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// Where invoices go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// It owes no tax.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tax_exempt: bool,
}
