//! How long a client waits after a throttled call. Its waits are recorded and end at once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use aws_config::Region;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};

use super::*;

/// Answers that the next call is throttled, and all others without content.
#[derive(Debug, Default, Clone)]
struct Service {
    throttles: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
}

impl HttpConnector for Service {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        self.calls.fetch_add(1, Relaxed);
        let (status, body) = if self.throttles.swap(false, Relaxed) {
            (400, r#"{"__type": "com.amazonaws#ThrottlingException"}"#)
        } else {
            (200, "{}")
        };
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        let headers = response.headers_mut();
        headers.insert("content-type", "application/x-amz-json-1.0");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// The waits of a client. A timeout is not a wait: nothing polls it, because each call is answered at once.
#[derive(Debug, Default, Clone)]
struct Waits(Arc<Mutex<Vec<Duration>>>);

impl AsyncSleep for Waits {
    fn sleep(&self, duration: Duration) -> Sleep {
        let waits = Arc::clone(&self.0);
        Sleep::new(async move { waits.lock().unwrap().push(duration) })
    }
}

impl Waits {
    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn throttled_call_waits_for_a_second_at_most_and_others_do_not_wait() {
    let service = Service::default();
    let waits = Waits::default();
    let connector = SharedHttpConnector::new(service.clone());
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        // The SDK shares what it knows of throttling among all clients of a service in a region.
        .region(Region::from_static("throttled"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .sleep_impl(SharedAsyncSleep::new(waits.clone()))
        // It waits beside each call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(retries())
        .build();
    let client = dynamodb(&config);
    for _ in 0..3 {
        service.throttles.store(true, Relaxed);
        client.list_tables().send().await.unwrap();
        let retry = waits.take();
        assert!(
            matches!(retry[..], [wait] if wait <= Duration::from_secs(1)),
            "{retry:?}"
        );
        for _ in 0..10 {
            client.list_tables().send().await.unwrap();
        }
        assert_eq!(waits.take(), [] as [Duration; 0]);
    }
    assert_eq!(service.calls.load(Relaxed), 3 * (2 + 10));
}
