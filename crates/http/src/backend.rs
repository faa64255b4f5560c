//! Errors of the backend as problems. No other file of this crate names the backend.

use mesh_aws::AwsError;

use crate::Problem;

impl From<AwsError> for Problem {
    /// Logs the error under the request's id. The caller is told only whether to slow down or to try again.
    fn from(error: AwsError) -> Self {
        tracing::error!(event = "request_failed", %error, "a service behind the API failed");
        if error.is_throttling() {
            Self::too_many_requests()
        } else {
            Self::service_unavailable()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProblemKind;

    #[test]
    fn a_throttled_caller_gets_429_and_another_503() {
        let mut error = AwsError::contended("GetItem");
        error.code = Some("ThrottlingException".to_owned());
        assert_eq!(Problem::from(error).kind(), ProblemKind::TooManyRequests);
        let error = AwsError::contended("GetItem");
        assert_eq!(Problem::from(error).kind(), ProblemKind::Unavailable);
    }
}
