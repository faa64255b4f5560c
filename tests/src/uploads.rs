//! Contents that a client uploads itself.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Api, Reply};

impl Api {
    /// Asks for an address to upload to.
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
    /// When it is not taken.
    pub fn upload(&self, content_type: &str, content: &[u8]) -> String {
        let announced = self.announce(content_type, content);
        assert_eq!(announced.status, 201, "{announced:?}");
        assert_eq!(put(&announced.body, content), 200);
        announced.text("id").to_owned()
    }
}

/// Sends a content as the announcement's answer says, and returns the status.
///
/// # Panics
/// When the announcement lacks something, or the bucket does not answer.
#[must_use]
pub fn put(announced: &Value, content: &[u8]) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.put(announced["url"].as_str().expect("there is an address"));
    for (name, value) in announced["headers"].as_object().expect("there are headers") {
        // The agent counts for itself, so that another length is sent as such.
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
