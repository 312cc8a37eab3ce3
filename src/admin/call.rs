//! A request as the handlers see it: read whole, with who sent it; its JSON checked against the schema that the OpenAPI
//! document shows, so that both say the same.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequest, Request};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use super::App;
use super::auth::{Actor, is_json};
use super::error::Problem;
use super::words::in_json_words;
use crate::tenancy::{Cause, FieldError, Versioned, did_you_mean};

/// Octets of a request body.
const MAX_BODY: usize = 1024 * 1024;

/// Characters of a reason.
const LONGEST_REASON: usize = 500;

/// The id of the request, as `X-Request-Id` tells it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// A request, read whole.
#[derive(Debug)]
pub struct Call {
    /// Request method.
    pub method: Method,
    /// Request target.
    pub uri: Uri,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body, at most 1 MiB.
    pub body: bytes::Bytes,
    /// Who, when and through which request.
    pub cause: Cause,
}

impl FromRequest<App> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let too_large = || Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE);
        let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let arrives = tokio::time::timeout(app.config.limits.idle_timeout, axum::body::to_bytes(body, MAX_BODY));
        let arrived = arrives.await.map_err(|_| Problem::bad_request("The body did not arrive in time."))?;
        let body = arrived.map_err(|error| {
            let limit = std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            if limit { too_large() } else { Problem::bad_request("The body did not arrive whole.") }
        })?;
        let actor = parts.extensions.get::<Actor>().map_or("unknown", |actor| &*actor.name);
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
        let source = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical().to_string());
        let reason = reason(&parts.headers)?;
        let cause = Cause { actor: actor.to_owned(), source, request_id, reason, now: app.clock.now() };
        Ok(Self { method: parts.method, uri: parts.uri, headers: parts.headers, body, cause })
    }
}

impl Call {
    /// The body as `T`; unknown, missing and mistyped members are told by their pointers.
    pub fn json<T: DeserializeOwned + PartialSchema>(&self) -> Result<T, Problem> {
        read(self.value()?)
    }

    /// Like [`json`](Self::json), where no body stands for an empty object.
    pub fn json_or_empty<T: DeserializeOwned + PartialSchema>(&self) -> Result<T, Problem> {
        if self.body.trim_ascii().is_empty() { read(Value::Object(serde_json::Map::new())) } else { self.json() }
    }

    /// The body as any JSON.
    pub fn value(&self) -> Result<Value, Problem> {
        if self.headers.contains_key(header::CONTENT_TYPE) && !is_json(&self.headers) {
            let detail = "Send `Content-Type: application/json`.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type", detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| Problem::bad_request(format!("The body is not JSON: {error}.")))
    }

    /// The query's parameters; others than `known` are errors.
    pub fn query(&self, known: &'static [&'static str]) -> Result<Query, Problem> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let unknown = pairs.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let errors: Vec<FieldError> = unknown
            .map(|(name, _)| {
                let shown: String = name.chars().take(80).collect();
                let hint = did_you_mean(name, known.iter().copied());
                FieldError::new(format!("/query/{shown}"), "unknown_parameter", format!("there is no parameter `{shown}`{hint}"))
            })
            .collect();
        if errors.is_empty() { Ok(Query(pairs)) } else { Err(Problem::invalid(errors)) }
    }

    /// Fails with 412 unless `If-Match` is absent, `*`, or names this version (RFC 9110, section 13.1.1).
    pub fn check_match<T>(&self, current: &Versioned<T>) -> Result<(), Problem> {
        let mut fields = self.headers.get_all(header::IF_MATCH).iter().peekable();
        if fields.peek().is_none() {
            return Ok(());
        }
        let tag = etag(current);
        let named =
            fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(',')).map(str::trim).any(|t| t == tag || t == "*");
        if named {
            return Ok(());
        }
        let detail = format!("The tenant is at version {tag} by now; read it again.");
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", "Changed meanwhile", detail))
    }
}

/// Why somebody asks for it, for the audit log: the field `X-Reason`, as UTF-8.
fn reason(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut fields = headers.get_all("x-reason").iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let wrong = |code, detail: String| Problem::field("/header/X-Reason", code, detail);
    if fields.next().is_some() {
        return Err(wrong("reason_twice", "there is more than one `X-Reason`".to_owned()));
    }
    let text = std::str::from_utf8(field.as_bytes()).map_err(|_| wrong("reason_not_text", "`X-Reason` is UTF-8".to_owned()))?.trim();
    if text.chars().count() > LONGEST_REASON {
        return Err(wrong("reason_too_long", format!("`X-Reason` has at most {LONGEST_REASON} characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// The entity tag of a version.
pub fn etag<T>(of: &Versioned<T>) -> String {
    format!("\"{}\"", of.version.0)
}

/// Parameters of a query.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// One parameter; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// One parameter, read.
    pub fn parse<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let wrong = |_| Problem::field(format!("/query/{name}"), "invalid", format!("`{name}` is {expected}"));
        self.get(name).map(|text| text.parse::<T>().map_err(|_| ()).map_err(wrong)).transpose()
    }

    /// How many to list: 1 to 500, 50 by default.
    pub fn limit(&self) -> Result<usize, Problem> {
        let expected = "a number from 1 to 500";
        match self.parse::<usize>("limit", expected)? {
            None => Ok(50),
            Some(limit @ 1..=500) => Ok(limit),
            Some(_) => Err(Problem::field("/query/limit", "invalid", format!("`limit` is {expected}"))),
        }
    }
}

/// For members where `null` means something else than absence.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn read<T: DeserializeOwned + PartialSchema>(value: Value) -> Result<T, Problem> {
    let Value::Object(members) = &value else {
        return Err(Problem::field("", "invalid_type", "the body is a JSON object"));
    };
    let mut errors = Vec::new();
    if let RefOr::T(Schema::Object(schema)) = T::schema() {
        let known: Vec<&str> = schema.properties.keys().map(String::as_str).collect();
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(80).collect();
            let hint = did_you_mean(name, known.iter().copied());
            let detail = format!("there is no member `{shown}`{hint}");
            errors.push(FieldError::new(format!("/{}", shown.replace('~', "~0").replace('/', "~1")), "unknown_member", detail));
        }
        for name in schema.required.iter().filter(|name| !members.contains_key(name.as_str())) {
            errors.push(FieldError::new(format!("/{name}"), "required", format!("`{name}` is missing")));
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer: String = error.path().iter().map(segment).collect();
        Problem::field(pointer, "invalid", in_json_words(&error.inner().to_string()))
    })
}

/// A member at a pointer as `T`.
pub fn part<T: DeserializeOwned>(value: Value, at: &str) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let below: String = error.path().iter().map(segment).collect();
        FieldError::new(format!("{at}{below}"), "invalid", in_json_words(&error.inner().to_string()))
    })
}

fn segment(segment: &serde_path_to_error::Segment) -> String {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    }
}
