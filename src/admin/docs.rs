//! The OpenAPI document and a page that shows it: one HTML file without scripts or anything from elsewhere.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::Value;

/// The document is the same for the life of the process.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = super::views::json_of(&super::table().split_for_parts().1);
    super::permissions::describe(&mut document);
    document
});
static PAGE: LazyLock<String> = LazyLock::new(|| render(&DOCUMENT));

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<title>Gatehouse admin API</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#8881;padding:.7rem;overflow:auto}summary{cursor:pointer;padding:.3rem 0}\
summary b{display:inline-block;width:4.5rem}td{padding:.1rem 1rem .1rem 0;vertical-align:top}</style><h1>Gatehouse admin API</h1>";

/// The OpenAPI document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// This API as an OpenAPI 3.1 document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn openapi() -> Response {
    axum::Json(&*DOCUMENT).into_response()
}

/// This API as a page to read.
#[utoipa::path(get, path = "/docs", tag = "operations", responses((status = 200, description = "HTML")))]
pub async fn page() -> Response {
    let mut response = Html(PAGE.as_str()).into_response();
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn render(document: &Value) -> String {
    let mut page = String::from(HEAD);
    let about = text(&document["info"]["description"]);
    // Writing to a String cannot fail.
    let _ = write!(page, "<p>{about} The whole document: <a href=\"/openapi.json\">openapi.json</a>.</p>");
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            render_operation(&mut page, path, method, operation, document);
        }
    }
    page
}

fn render_operation(page: &mut String, path: &str, method: &str, operation: &Value, document: &Value) {
    let (method, path, summary) = (escape(&method.to_uppercase()), escape(path), text(&operation["summary"]));
    let _ = write!(page, "<details><summary><b>{method}</b> <code>{path}</code> — {summary}</summary><table>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place, about) = (text(&parameter["name"]), text(&parameter["in"]), text(&parameter["description"]));
        let _ = write!(page, "<tr><td><code>{name}</code><td>{place}<td>{about}");
    }
    let roles: Vec<&str> = operation["x-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = write!(page, "<tr><td>roles<td><td>{}", roles.join(", "));
    page.push_str("</table>");
    let content = operation["requestBody"]["content"].as_object().into_iter().flatten();
    for (_, body) in content {
        let schema = resolve(&body["schema"], document);
        let _ = write!(page, "<p>Body</p><pre>{}</pre>", escape(&format!("{schema:#}")));
    }
    page.push_str("<table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let _ = write!(page, "<tr><td>{}<td>{}", escape(status), text(&response["description"]));
    }
    page.push_str("</table></details>");
}

fn resolve<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().or_else(|| schema["oneOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str()));
    reference.and_then(|reference| document.pointer(reference.strip_prefix('#')?)).unwrap_or(schema)
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
