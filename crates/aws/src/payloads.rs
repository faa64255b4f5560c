//! The S3 bucket for inputs and results that are too large for a task's item.

use std::collections::BTreeMap;
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
use mesh_task::{NewUpload, ObjectRef, Task, TaskId, Tenant};
use sha2::{Digest, Sha256};

use crate::AwsError;

/// The payload bucket. Only the server makes keys: nothing that a client sends becomes part of one.
#[derive(Debug)]
pub struct Payloads {
    config: SdkConfig,
    /// Made at first use: an S3 client costs tens of milliseconds, and tasks with small texts never need one.
    client: OnceLock<Client>,
    bucket: String,
}

/// How many bytes of an upload are inspected when a task refers to it. They contain an image's size, even behind the thumbnail
/// that a camera stores before it, and the first 200 words of a text.
const HEAD_BYTES: usize = 65_536;

/// A presigned PUT request for one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpload {
    /// The URL of the PUT.
    pub url: String,
    /// The signed headers, which must be sent unchanged.
    pub headers: BTreeMap<String, String>,
}

/// An uploaded object whose content is pinned by its ETag and SHA-256.
#[derive(Debug, Clone)]
pub struct Pinned {
    pub object: ObjectRef,
    /// The first 64 KiB of its content.
    pub head: Vec<u8>,
}

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object does not exist.
    #[error("the stored input is gone")]
    Missing,
    /// The object is not the one that was submitted.
    #[error("the stored input was changed after it was submitted")]
    Changed,
    /// The call failed; it may succeed later.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Payloads {
    #[must_use]
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

    /// Stores a task's input and pins it.
    ///
    /// # Errors
    /// When the object may not have been written.
    pub async fn put_input(
        &self,
        tenant: &Tenant,
        id: TaskId,
        body: Vec<u8>,
        content_type: &str,
    ) -> Result<ObjectRef, AwsError> {
        self.put(format!("{tenant}/{id}/input"), body, content_type).await
    }

    /// Stores the result of the attempt that `task` was claimed for. The key contains the fence, so that a stale worker
    /// overwrites no newer result.
    ///
    /// # Errors
    /// When the object may not have been written.
    pub async fn put_result(&self, task: &Task, json: Vec<u8>) -> Result<ObjectRef, AwsError> {
        let key = format!("{}/{}/result-{}", task.tenant, task.id, task.fence);
        self.put(key, json, "application/json").await
    }

    /// A presigned URL that reads the object without a token until `expires_in` is over. The response has the content type that
    /// was detected, not the one that the uploader claimed, and is an attachment: no browser runs it as a page of the bucket's
    /// origin.
    ///
    /// # Errors
    /// When the request can't be signed.
    pub async fn link(&self, object: &ObjectRef, expires_in: Duration) -> Result<String, AwsError> {
        let expiry =
            PresigningConfig::expires_in(expires_in).map_err(|error| AwsError::setup("GetObject", error))?;
        let get = self
            .client()
            .get_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .response_content_type(&object.content_type)
            .response_content_disposition("attachment");
        let signed = get
            .presigned(expiry)
            .await
            .map_err(AwsError::from_sdk("GetObject"))?;
        Ok(signed.uri().to_owned())
    }

    /// The prefix of every object's URL, up to the slash before the key.
    ///
    /// # Errors
    /// When the request can't be signed.
    pub async fn address(&self) -> Result<String, AwsError> {
        const KEY: &str = "any";
        let expiry = PresigningConfig::expires_in(Duration::from_secs(1))
            .map_err(|error| AwsError::setup("GetObject", error))?;
        let get = self.client().get_object().bucket(&self.bucket).key(KEY);
        let signed = get
            .presigned(expiry)
            .await
            .map_err(AwsError::from_sdk("GetObject"))?;
        let address = signed
            .uri()
            .split_once('?')
            .map_or(signed.uri(), |(address, _)| address);
        Ok(address.trim_end_matches(KEY).to_owned())
    }

    /// Presigns a PUT that accepts exactly the announced content (length and SHA-256 are signed), and only while the key does
    /// not exist: an uploaded object is never overwritten.
    ///
    /// # Errors
    /// When the request can't be signed.
    pub async fn sign_upload(
        &self,
        key: &str,
        upload: &NewUpload,
        expires_in: Duration,
    ) -> Result<SignedUpload, AwsError> {
        let expiry =
            PresigningConfig::expires_in(expires_in).map_err(|error| AwsError::setup("PutObject", error))?;
        let put = self
            .client()
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(&upload.content_type)
            .content_length(i64::try_from(upload.length).unwrap_or(i64::MAX))
            .checksum_sha256(BASE64.encode(upload.sha256))
            .if_none_match("*");
        let signed = put
            .presigned(expiry)
            .await
            .map_err(AwsError::from_sdk("PutObject"))?;
        let headers = signed
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(SignedUpload {
            headers: headers.collect(),
            url: signed.uri().to_owned(),
        })
    }

    /// Pins the object that a client uploaded to this key.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when the object does not exist, [`ReadError::Changed`] when [`Self::sign_upload`] would not have
    /// accepted it; [`ReadError::Aws`] may pass.
    pub async fn pin(&self, key: String) -> Result<Pinned, ReadError> {
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
    }

    async fn put(&self, key: String, body: Vec<u8>, content_type: &str) -> Result<ObjectRef, AwsError> {
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
            .map_err(AwsError::from_sdk("PutObject"))?;
        let etag = put.e_tag.unwrap_or_default();
        Ok(ObjectRef {
            key,
            etag,
            sha256,
            bytes,
            content_type: content_type.to_owned(),
        })
    }

    /// Reads an object, if it is still the one that was pinned.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Changed`] are permanent; [`ReadError::Aws`] may pass.
    pub async fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, ReadError> {
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
    }

    /// Opens the connection, so that the first real call does not wait for it.
    pub async fn warm(&self) {
        match self.check().await {
            // Without permission to list, S3 answers AccessDenied for an object that does not exist.
            Err(error) if !error.is_refusal() => {
                tracing::warn!(event = "connection_not_opened", %error, "the connection to the payload bucket could not be opened in advance");
            }
            _ => {}
        }
    }

    /// Reads an object that does not exist, to show that the bucket answers.
    ///
    /// # Errors
    /// When the bucket did not answer, or refused the read.
    pub async fn check(&self) -> Result<(), AwsError> {
        let get = self.client().get_object().bucket(&self.bucket).key("warm");
        match get.send().await.map_err(|error| read_error("GetObject", error)) {
            Ok(_) | Err(ReadError::Missing | ReadError::Changed) => Ok(()),
            Err(ReadError::Aws(error)) => Err(error),
        }
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
        _ => AwsError::from_sdk(operation)(error).into(),
    }
}

async fn collect(body: ByteStream) -> Result<Vec<u8>, AwsError> {
    let body = body.collect().await;
    Ok(body
        .map_err(|error| AwsError::setup("GetObject", error))?
        .into_bytes()
        .into())
}
