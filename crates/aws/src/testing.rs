//! Fixtures of tests: a scripted server in place of AWS, and a task.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use mesh_task::{Task, TaskType, testing};
use serde_json::{Value, json};
use wiremock::matchers::header_regex;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A configuration whose clients call the server.
#[must_use]
pub fn config(server: &MockServer) -> SdkConfig {
    config_of(server.uri())
}

/// A configuration whose clients call the server at this address.
#[must_use]
pub fn config_of(address: String) -> SdkConfig {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(address)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// Makes the server answer one call of an operation. Further answers are given in the order in which they were added.
pub async fn answer(server: &MockServer, operation: &str, body: Value) {
    let answer = ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.0");
    Mock::given(header_regex("x-amz-target", &format!("{operation}$")))
        .respond_with(answer)
        .up_to_n_times(1)
        .mount(server)
        .await;
}

/// The bodies of the requests that the server received.
///
/// # Panics
/// When a body is not JSON.
pub async fn requests(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.expect("requests are recorded");
    requests
        .iter()
        .map(|request| request.body_json().expect("the body is JSON"))
        .collect()
}

/// A pending task that was accepted now.
#[must_use]
pub fn task() -> Task {
    let now = Timestamp::now();
    Task::new(testing::draft(TaskType::Sentiment), now, now)
}

/// An object as the item that DynamoDB returns.
///
/// # Panics
/// When it is not an object.
#[must_use]
pub fn item(object: &Value) -> Value {
    let fields = object.as_object().expect("an item is an object").iter();
    fields
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// A value as an attribute of an item.
fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(value) => json!({ "BOOL": value }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        Value::Object(_) => json!({ "M": item(value) }),
    }
}
