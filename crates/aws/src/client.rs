//! The configuration that all AWS clients share.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use mesh_backend::BackendError;

use crate::error::setup;

/// After this time without a connection the call is retried. Inside AWS a connection takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The limit of one attempt of a call. The largest transfer, a payload of 50 MB, takes under 1 s inside a region.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// The limit of a call with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the standard AWS variables. The clients that are made of the result share one connection pool.
///
/// # Errors
/// When `AWS_CA_BUNDLE` names a file that can't be read or a certificate that can't be used.
pub async fn sdk_config() -> Result<SdkConfig, BackendError> {
    let tls = TlsContext::builder().with_trust_store(trust_store()?).build();
    let tls = tls.map_err(|error| setup("AWS_CA_BUNDLE", error))?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https();
    #[cfg(feature = "faults")]
    let http = crate::faults::wrap(http);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    Ok(loader
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries())
        .load()
        .await)
}

/// Standard: a throttled call is sent again after a random part of 1, 2 and then 4 seconds, and no other call waits.
///
/// The adaptive mode is for a single client with steady traffic. It measures the rate of its calls and, from the first
/// throttled one on, slows all calls of the process to a part of that rate, for good. A function that is frozen between
/// requests measures next to nothing: the retry waits up to 20 s, and later calls wait too.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(4)
}

/// A client of DynamoDB. In a test build it requests the consumed capacity of each call.
pub(crate) fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config);
    #[cfg(feature = "faults")]
    let config = config.interceptor(crate::meter::RequestCapacity);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// The platform's certificates and those of `AWS_CA_BUNDLE`, which an emulator with its own CA needs.
fn trust_store() -> Result<TrustStore, BackendError> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut store = TrustStore::default();
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE") {
        let bundle = std::fs::read_to_string(path).map_err(|error| setup("AWS_CA_BUNDLE", error))?;
        for certificate in bundle.split_inclusive(END).filter(|part| part.ends_with(END)) {
            store.add_pem_certificate(certificate);
        }
    }
    Ok(store)
}

#[cfg(test)]
mod tests;
