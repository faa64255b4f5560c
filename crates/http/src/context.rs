//! What the host of a request knows about it.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use tokio::time::Instant;

/// How long before the host's deadline a request is given up. A host without processor time to spare takes seconds to
/// write an answer and to send it, and what the caller gets after the deadline is the gateway's 502.
pub const HOST_MARGIN: Duration = Duration::from_secs(4);
/// How long before a request is given up the work for it must be over, so that it can still be answered.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// How long a request may take to which no host gave a context: a test's.
const UNBOUNDED: Duration = Duration::from_hours(1);

/// What the host knows about a request. The host puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The id by which the log and the caller know the request.
    pub request_id: String,
    /// When the host gives the request up.
    pub deadline: Instant,
    /// How large a request may be as the JSON event that the host makes of it. `None` where the host makes none.
    pub max_event_bytes: Option<usize>,
}

impl RequestContext {
    pub fn new(request_id: impl Into<String>, deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        Self {
            request_id: request_id.into(),
            deadline: Instant::now() + left,
            max_event_bytes: None,
        }
    }

    /// The context of a request; the default where no host gave one.
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// The deadline for work that needs this margin before the host's own.
    #[must_use]
    pub fn deadline_before(&self, margin: Duration) -> Instant {
        let now = Instant::now();
        now + self
            .deadline
            .saturating_duration_since(now)
            .saturating_sub(margin)
    }
}

impl Default for RequestContext {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            deadline: Instant::now() + UNBOUNDED,
            max_event_bytes: None,
        }
    }
}

/// By when the work for a request must be over: a little before [`limits::limit_time`](crate::limits::limit_time) gives it
/// up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

impl<S: Send + Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let context = RequestContext::from_extensions(&parts.extensions);
        Ok(Self(context.deadline_before(HOST_MARGIN + ANSWER_MARGIN)))
    }
}

/// The id by which the log and the caller know a request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(
            RequestContext::from_extensions(&parts.extensions).request_id,
        ))
    }
}

/// The method and the pattern that a request's path matched, which the API leaves with the response for its host's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedRoute(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_a_margin_before_the_host_gives_up_and_at_once_where_less_is_left() {
        let context = RequestContext::new("1", SystemTime::now() + Duration::from_secs(10));
        let left = context.deadline_before(ANSWER_MARGIN) - Instant::now();
        assert!(
            (Duration::from_secs(7)..=Duration::from_secs(8)).contains(&left),
            "{left:?}"
        );
        for late in [
            SystemTime::now() + Duration::from_secs(1),
            SystemTime::now() - Duration::from_secs(1),
        ] {
            let context = RequestContext::new("1", late);
            assert!(context.deadline_before(ANSWER_MARGIN) <= Instant::now());
        }
    }
}
