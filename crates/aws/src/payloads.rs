//! The S3 bucket for inputs and results that are too large for a task's item.

use std::error::Error;
use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mesh_backend::{
    BackendError, BackendFuture, BoxFuture, HEAD_BYTES, PayloadStore, Pinned, ReadError, SignedUpload,
};
use mesh_task::{NewUpload, ObjectRef, Task, TaskId, Tenant};
use sha2::{Digest, Sha256};

use crate::error::{from_sdk, setup};

/// The payload bucket. Only the server makes keys: nothing that a client sends becomes part of one.
#[derive(Debug)]
pub struct Payloads {
    config: SdkConfig,
    /// Made at first use: an S3 client costs tens of milliseconds, and tasks with small texts never need one.
    client: OnceLock<Client>,
    bucket: String,
}

impl Payloads {
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        Self {
            config: config.clone(),
            client: OnceLock::new(),
            bucket,
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            // Path style for emulators: a bucket name in the host name would need a name server that knows it.
            let path_style = self.config.endpoint_url().is_some();
            let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style);
            Client::from_conf(config.build())
        })
    }

    async fn put(&self, key: String, body: Vec<u8>, content_type: &str) -> Result<ObjectRef, BackendError> {
        let sha256 = hex::encode(Sha256::digest(&body));
        let bytes = body.len() as u64;
        let put = self
            .client()
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .content_type(content_type);
        let put = put
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(from_sdk("PutObject"))?;
        let etag = put.e_tag.unwrap_or_default();
        Ok(ObjectRef {
            key,
            etag,
            sha256,
            bytes,
            content_type: content_type.to_owned(),
        })
    }
}

impl PayloadStore for Payloads {
    fn put_input<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        body: Vec<u8>,
        content_type: &'a str,
    ) -> BackendFuture<'a, ObjectRef> {
        Box::pin(async move { self.put(format!("{tenant}/{id}/input"), body, content_type).await })
    }

    fn put_result<'a>(&'a self, task: &'a Task, json: Vec<u8>) -> BackendFuture<'a, ObjectRef> {
        Box::pin(async move {
            let key = format!("{}/{}/result-{}", task.tenant, task.id, task.fence);
            self.put(key, json, "application/json").await
        })
    }

    fn link<'a>(&'a self, object: &'a ObjectRef, expires_in: Duration) -> BackendFuture<'a, String> {
        Box::pin(async move {
            let expiry =
                PresigningConfig::expires_in(expires_in).map_err(|error| setup("GetObject", error))?;
            let get = self
                .client()
                .get_object()
                .bucket(&self.bucket)
                .key(&object.key)
                .response_content_type(&object.content_type)
                .response_content_disposition("attachment");
            let signed = get.presigned(expiry).await.map_err(from_sdk("GetObject"))?;
            Ok(signed.uri().to_owned())
        })
    }

    fn address(&self) -> BackendFuture<'_, String> {
        Box::pin(async move {
            const KEY: &str = "any";
            let expiry = PresigningConfig::expires_in(Duration::from_secs(1))
                .map_err(|error| setup("GetObject", error))?;
            let get = self.client().get_object().bucket(&self.bucket).key(KEY);
            let signed = get.presigned(expiry).await.map_err(from_sdk("GetObject"))?;
            let address = signed
                .uri()
                .split_once('?')
                .map_or(signed.uri(), |(address, _)| address);
            Ok(address.trim_end_matches(KEY).to_owned())
        })
    }

    fn sign_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a NewUpload,
        expires_in: Duration,
    ) -> BackendFuture<'a, SignedUpload> {
        Box::pin(async move {
            let expiry =
                PresigningConfig::expires_in(expires_in).map_err(|error| setup("PutObject", error))?;
            let put = self
                .client()
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                .content_type(&upload.content_type)
                .content_length(i64::try_from(upload.length).unwrap_or(i64::MAX))
                .checksum_sha256(BASE64.encode(upload.sha256))
                .if_none_match("*");
            let signed = put.presigned(expiry).await.map_err(from_sdk("PutObject"))?;
            let headers = signed
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            Ok(SignedUpload {
                headers: headers.collect(),
                url: signed.uri().to_owned(),
            })
        })
    }

    fn pin(&self, key: String) -> BoxFuture<'_, Result<Pinned, ReadError>> {
        Box::pin(async move {
            let head = self.client().head_object().bucket(&self.bucket).key(&key);
            let found = match head.checksum_mode(ChecksumMode::Enabled).send().await {
                Ok(found) => found,
                Err(error) => return Err(read_error("HeadObject", error)),
            };
            let sha256 = found.checksum_sha256().and_then(|sum| BASE64.decode(sum).ok());
            let object = ObjectRef {
                etag: found.e_tag.unwrap_or_default(),
                sha256: hex::encode(sha256.ok_or(ReadError::Changed)?),
                bytes: found
                    .content_length
                    .and_then(|bytes| bytes.try_into().ok())
                    .unwrap_or(0),
                content_type: found.content_type.unwrap_or_default(),
                key,
            };
            let get = self
                .client()
                .get_object()
                .bucket(&self.bucket)
                .key(&object.key)
                .if_match(&object.etag)
                .range(format!("bytes=0-{}", HEAD_BYTES - 1));
            let got = match get.send().await {
                Ok(got) => got,
                Err(error) => return Err(read_error("GetObject", error)),
            };
            Ok(Pinned {
                object,
                head: collect(got.body).await?,
            })
        })
    }

    fn read<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Vec<u8>, ReadError>> {
        Box::pin(async move {
            let get = self
                .client()
                .get_object()
                .bucket(&self.bucket)
                .key(&object.key)
                .if_match(&object.etag);
            let got = match get.send().await {
                Ok(got) => got,
                Err(error) => return Err(read_error("GetObject", error)),
            };
            let body = collect(got.body).await?;
            // Objects with the same ETag can differ: the ETag of a multipart upload is not a digest.
            if hex::encode(Sha256::digest(&body)) == object.sha256 {
                Ok(body)
            } else {
                Err(ReadError::Changed)
            }
        })
    }

    fn warm(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match self.check().await {
                // Without permission to list, S3 answers AccessDenied for an object that does not exist.
                Err(error) if error.code.is_none() => {
                    tracing::warn!(event = "connection_not_opened", %error, "the connection to the payload bucket could not be opened in advance");
                }
                _ => {}
            }
        })
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        Box::pin(async move {
            let get = self.client().get_object().bucket(&self.bucket).key("warm");
            match get.send().await.map_err(|error| read_error("GetObject", error)) {
                Ok(_) | Err(ReadError::Missing | ReadError::Changed) => Ok(()),
                Err(ReadError::Backend(error)) => Err(error),
            }
        })
    }
}

fn read_error<E, R>(operation: &'static str, error: SdkError<E, R>) -> ReadError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    match error.code() {
        Some("NoSuchKey" | "NotFound") => ReadError::Missing,
        Some("PreconditionFailed") => ReadError::Changed,
        _ => from_sdk(operation)(error).into(),
    }
}

async fn collect(body: ByteStream) -> Result<Vec<u8>, BackendError> {
    let body = body.collect().await;
    Ok(body
        .map_err(|error| setup("GetObject", error))?
        .into_bytes()
        .into())
}
