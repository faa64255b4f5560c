//! Content that a client uploads to the bucket itself.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Api, Reply};

impl Api {
    /// Announces an upload. The reply has the URL and the headers for it.
    pub fn announce(&self, content_type: &str, content: &[u8]) -> Reply {
        let body = json!({
            "content_type": content_type,
            "length": content.len(),
            "sha256": hex::encode(Sha256::digest(content)),
        });
        self.post_to("/v1/uploads", Some(&body))
    }

    /// Uploads a content, and returns the upload's id.
    ///
    /// # Panics
    /// When the announcement or the content is refused.
    #[track_caller]
    pub fn upload(&self, content_type: &str, content: &[u8]) -> String {
        let announced = self.announce(content_type, content);
        assert_eq!(announced.status, 201, "{announced:?}");
        assert_eq!(put(&announced.body, content), 200);
        announced.text("id").to_owned()
    }
}

/// Sends a content as the reply to its announcement says, and returns the status.
///
/// # Panics
/// When the reply lacks something, or the bucket does not answer.
#[must_use]
pub fn put(announced: &Value, content: &[u8]) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.put(announced["url"].as_str().expect("there is a URL"));
    for (name, value) in announced["headers"].as_object().expect("there are headers") {
        // The agent sets the length itself, so that a content of another length is sent with its own.
        if name != "content-length" {
            request = request.header(name, value.as_str().expect("a header is text"));
        }
    }
    request
        .send(content)
        .expect("the bucket answers")
        .status()
        .as_u16()
}
