//! The audit log as NDJSON: line by line as it is stored, read page by page while it is sent, up to where the log was when it began.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;

use super::App;
use super::audit::{Filter, Place, first_of};
use super::error::Problem;
use crate::store::{LoggedRow, StoreError};

/// Where an export has come to.
struct Progress {
    app: App,
    place: Place,
    filter: Filter,
    after: Option<String>,
    /// The newest row when it began.
    last: String,
}

/// Sends the rows that `filter` admits, oldest first. A store that fails meanwhile cuts the answer off, so that nobody takes a part for
/// the whole.
pub(super) async fn export(app: &App, place: Place, filter: Filter) -> Result<Response, Problem> {
    let (newest, _) = place.read(&*app.tenants.store, None, true).await?;
    let body = match newest.into_iter().next() {
        None => Body::empty(),
        Some(newest) => {
            let after = filter.from.map(|from| format!("{}{}", place.prefix, first_of(from)));
            let begin = Progress { app: app.clone(), place, filter, after, last: newest.key.id };
            Body::from_stream(stream::try_unfold(Some(begin), |progress| async {
                match progress {
                    Some(progress) => progress.next().await.inspect_err(|error| tracing::warn!(%error, "an export was cut off")),
                    None => Ok(None),
                }
            }))
        }
    };
    let fields = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\"")];
    Ok((fields, body).into_response())
}

impl Progress {
    /// The lines of the next page, and what is left.
    async fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, StoreError> {
        let (records, is_last) = self.place.read(&*self.app.tenants.store, self.after.take(), false).await?;
        let mut lines = Vec::new();
        for record in records.iter().filter(|record| record.key.id <= self.last) {
            if self.filter.admits(&LoggedRow::read(record)?) {
                lines.extend_from_slice(&record.value);
                lines.push(b'\n');
            }
        }
        let end = records.last().map(|record| record.key.id.clone());
        let is_over = is_last || end.as_ref().is_none_or(|end| *end >= self.last);
        self.after = end;
        Ok(Some((Bytes::from(lines), (!is_over).then_some(self))))
    }
}
