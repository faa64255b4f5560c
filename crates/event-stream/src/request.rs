//! A request for a stream.

use std::time::Duration;

use axum::extract::Request;
use http::HeaderMap;
use mesh_http::{AcceptedKeys, Problem, RequestContext};
use mesh_task::{TaskId, Tenant};
use tokio::time::Instant;

/// How long before the function's own deadline a stream ends, so that it ends in order.
const END_MARGIN: Duration = Duration::from_secs(5);

/// Whose changes are streamed, after which cursor, and how long.
#[derive(Debug)]
pub(crate) struct StreamRequest {
    pub(crate) tenant: Tenant,
    /// The last change that the caller has seen, by its number in the change log. `None` begins at the present.
    pub(crate) after: Option<u64>,
    pub(crate) until: Instant,
}

impl StreamRequest {
    pub(crate) fn read(token: &AcceptedKeys, request: &Request) -> Result<Self, Problem> {
        Ok(Self {
            tenant: token.tenant_of(request.headers())?,
            after: cursor(request.headers(), request.uri().query())?,
            until: RequestContext::from_extensions(request.extensions()).deadline_before(END_MARGIN),
        })
    }
}

/// `Last-Event-ID`, which a client sends that reconnects, else `?after=`, as in `GET /v1/changes`.
fn cursor(headers: &HeaderMap, query: Option<&str>) -> Result<Option<u64>, Problem> {
    let header = headers.get("last-event-id");
    let header = header.map(|value| value.to_str().map_err(|_| invalid_cursor()));
    let header = header.transpose()?.filter(|value| !value.is_empty());
    let given = match (header, query.filter(|query| !query.is_empty())) {
        (Some(given), _) => given,
        (None, Some(query)) => query.strip_prefix("after=").ok_or_else(invalid_query)?,
        (None, None) => return Ok(None),
    };
    given.parse().map(Some).map_err(|_| invalid_cursor())
}

fn invalid_cursor() -> Problem {
    Problem::invalid_query(
        "the cursor is invalid: send the id of an event, or the next of GET /v1/changes, unchanged",
    )
}

fn invalid_query() -> Problem {
    Problem::invalid_query(
        "unknown parameter: a stream takes only `after`. Send the token in a header, not in the address.",
    )
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
    fn a_stream_continues_where_the_client_was() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some(""), Some("")), Ok(None));
        assert_eq!(read(None, Some("after=7")), Ok(Some(7)));
        assert_eq!(read(Some("9"), Some("after=7")), Ok(Some(9)));
        for wrong in ["-1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(read(Some(wrong), None), Err(invalid_cursor()));
        }
        assert_eq!(read(None, Some("after=")), Err(invalid_cursor()));
        assert_eq!(read(None, Some("token=secret")), Err(invalid_query()));
    }

    #[test]
    fn a_path_names_a_task() {
        let id = TaskId::generate();
        assert_eq!(task_id(&format!("/v1/tasks/{id}/events")), Some(id));
        assert_eq!(task_id("/v1/tasks/7/events"), None);
        assert_eq!(task_id("/v1/events"), None);
    }
}
