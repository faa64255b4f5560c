//! Errors of the backend as problems. No other file of this crate names the backend.

use mesh_backend::BackendError;

use crate::Problem;

impl From<BackendError> for Problem {
    /// Logs the error under the request's id. The caller is told only whether to slow down, to try again or to make room.
    fn from(error: BackendError) -> Self {
        tracing::error!(event = "request_failed", %error, "a service behind the API failed");
        if error.is_throttling() {
            Self::too_many_requests()
        } else if error.is_out_of_space() {
            Self::insufficient_storage()
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
    fn a_throttled_caller_gets_429_one_of_a_full_disk_507_and_another_503() {
        let error = BackendError::throttled("GetItem", "ThrottlingException".to_owned(), String::new());
        assert_eq!(Problem::from(error).kind(), ProblemKind::TooManyRequests);
        let error = BackendError::out_of_space("create", String::new());
        assert_eq!(Problem::from(error).kind(), ProblemKind::InsufficientStorage);
        let error = BackendError::contended("GetItem");
        assert_eq!(Problem::from(error).kind(), ProblemKind::Unavailable);
    }
}
