//! The demo's app: it knows nothing of tenants but what the gateway tells it in header fields.

use std::convert::Infallible;
use std::fmt::Write;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;

/// Serves the app for as long as the process lives.
pub(super) async fn serve(listener: TcpListener) {
    let app = Router::new()
        .route("/", get(page))
        .route("/whoami", get(whoami))
        .route("/events", get(events))
        .route("/download/{octets}", get(download))
        .route("/upload", post(upload));
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, app).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the demo app has stopped");
    }
}

fn said<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn page(headers: HeaderMap) -> Html<String> {
    let mut rows = String::new();
    let told = |name: &str| name.starts_with("x-tenant-") || name.starts_with("x-forwarded-") || name == "x-request-id";
    for (name, value) in headers.iter().filter(|(name, _)| told(name.as_str())) {
        let value = value.to_str().unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
        // Writing to a String cannot fail.
        let _ = write!(rows, "<tr><td><code>{name}</code><td>{value}");
    }
    let slug = said(&headers, "x-tenant-slug").replace('&', "&amp;").replace('<', "&lt;");
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>{slug}</title><style>body{{font:16px/1.5 system-ui;max-width:50rem;margin:3rem auto}}\
         td{{padding:.2rem 1rem .2rem 0}}</style><h1>Hello, {slug}</h1><p>This app knows its tenant from these fields:<table>{rows}</table>"
    ))
}

async fn whoami(headers: HeaderMap) -> impl IntoResponse {
    axum::Json(json!({
        "tenant": said(&headers, "x-tenant-id"),
        "slug": said(&headers, "x-tenant-slug"),
        "plan": said(&headers, "x-tenant-plan"),
        "features": said(&headers, "x-tenant-features"),
        "requestId": said(&headers, "x-request-id"),
        "forwardedFor": said(&headers, "x-forwarded-for"),
    }))
}

/// One event a second, as a dashboard would get them.
async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0_u64, |count| async move {
        if count > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some((Ok(Event::default().data(format!("tick {count}"))), count + 1))
    });
    Sse::new(ticks)
}

/// So many octets, made as they are sent.
async fn download(Path(octets): Path<u64>) -> Response {
    const CHUNK: u64 = 64 * 1024;
    let zeros = Bytes::from(vec![b'0'; CHUNK as usize]);
    let pieces = stream::iter((0..octets.div_ceil(CHUNK)).map(move |index| {
        let left = (octets - index * CHUNK).min(CHUNK) as usize;
        Ok::<_, Infallible>(zeros.slice(..left))
    }));
    ([("content-length", octets.to_string())], Body::from_stream(pieces)).into_response()
}

async fn upload(mut body: Body) -> Response {
    let mut octets = 0_u64;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => octets += frame.data_ref().map_or(0, |data| data.len() as u64),
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    axum::Json(json!({"received": octets})).into_response()
}
