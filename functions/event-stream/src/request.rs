//! What a request asks for.

use std::time::{Duration, SystemTime};

use axum::extract::Request;
use http::HeaderMap;
use lambda_http::RequestExt;
use mesh_http::TokenHash;
use mesh_task::{TaskId, Tenant};
use tokio::time::Instant;

use crate::problem::Problem;

/// What a stream leaves of its invocation, to end in order.
const END_MARGIN: Duration = Duration::from_secs(5);

/// Who asks, from where on, and how long the answer may go on.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: Tenant,
    /// The number in the change log that the caller has seen last; none begins at the present.
    pub(crate) after: Option<u64>,
    pub(crate) until: Instant,
}

impl Asked {
    pub(crate) fn read(token: &TokenHash, request: &Request) -> Result<Self, Problem> {
        let tenant = token.tenant_of(request.headers())?;
        let context = request.lambda_context_ref();
        let deadline = context.map_or(SystemTime::now(), |context| context.deadline());
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(Self {
            tenant,
            after: cursor(request.headers(), request.uri().query())?,
            until: Instant::now() + left.saturating_sub(END_MARGIN),
        })
    }
}

/// `Last-Event-ID`, as a client sends it that goes on, else `?after=`, as in `GET /v1/changes`.
fn cursor(headers: &HeaderMap, query: Option<&str>) -> Result<Option<u64>, Problem> {
    let header = headers.get("last-event-id");
    let header = header.map(|value| value.to_str().map_err(|_| Problem::BadCursor));
    let header = header.transpose()?.filter(|value| !value.is_empty());
    let given = match (header, query.filter(|query| !query.is_empty())) {
        (Some(given), _) => given,
        (None, Some(query)) => query.strip_prefix("after=").ok_or(Problem::BadQuery)?,
        (None, None) => return Ok(None),
    };
    given.parse().map(Some).map_err(|_| Problem::BadCursor)
}

/// The id in `/v1/tasks/{id}/events`, if it is one.
pub(crate) fn task_id(path: &str) -> Option<TaskId> {
    path.split('/').nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: Option<&'static str>, query: Option<&str>) -> Result<Option<u64>, Problem> {
        let header = header.map(|value| {
            (
                http::HeaderName::from_static("last-event-id"),
                http::HeaderValue::from_static(value),
            )
        });
        cursor(&HeaderMap::from_iter(header), query)
    }

    #[test]
    fn a_stream_goes_on_where_the_client_was() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some(""), Some("")), Ok(None));
        assert_eq!(read(None, Some("after=7")), Ok(Some(7)));
        assert_eq!(read(Some("9"), Some("after=7")), Ok(Some(9)));
        for wrong in ["-1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(read(Some(wrong), None), Err(Problem::BadCursor));
        }
        assert_eq!(read(None, Some("after=")), Err(Problem::BadCursor));
        assert_eq!(read(None, Some("token=secret")), Err(Problem::BadQuery));
    }

    #[test]
    fn a_path_names_a_task() {
        let id = TaskId::generate();
        assert_eq!(task_id(&format!("/v1/tasks/{id}/events")), Some(id));
        assert_eq!(task_id("/v1/tasks/7/events"), None);
        assert_eq!(task_id("/v1/events"), None);
    }
}
