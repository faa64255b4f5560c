//! The bucket for what is too large for a task's item.

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

/// The payload bucket. Keys are made here alone: nothing that a client sends becomes part of one.
#[derive(Debug)]
pub struct Payloads {
    config: SdkConfig,
    /// Made at first use: an S3 client costs tens of milliseconds, and a small text never needs one.
    client: OnceLock<Client>,
    bucket: String,
}

/// How much of an upload is looked at when a task names it: the size of a picture stands within, behind the thumbnail
/// that a camera puts before it, and so do the first 200 words of a text.
const HEAD_BYTES: usize = 65_536;

/// A request that uploads one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpload {
    /// Where to PUT it.
    pub url: String,
    /// The headers that are signed, and so must be sent as they are.
    pub headers: BTreeMap<String, String>,
}

/// An object that a client uploaded.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The object.
    pub object: ObjectRef,
    /// Its beginning.
    pub head: Vec<u8>,
}

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object is gone.
    #[error("the stored input is gone")]
    Missing,
    /// It is not the object that was submitted.
    #[error("the stored input was changed after it was submitted")]
    Changed,
    /// The bucket did not answer.
    #[error(transparent)]
    Cloud(#[from] AwsError),
}

impl Payloads {
    /// The bucket of that name.
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
            // Path style: the bucket's name as a host would need a name server that knows the emulator's buckets.
            let path_style = self.config.endpoint_url().is_some();
            let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style);
            Client::from_conf(config.build())
        })
    }

    /// Keeps a task's input and pins it.
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

    /// Keeps the result of the attempt that `task` was claimed for. Each claim has a key of its own: a stale worker
    /// overwrites nothing.
    ///
    /// # Errors
    /// When the object may not have been written.
    pub async fn put_result(&self, task: &Task, json: Vec<u8>) -> Result<ObjectRef, AwsError> {
        let key = format!("{}/{}/result-{}", task.tenant, task.id, task.fence);
        self.put(key, json, "application/json").await
    }

    /// An address at which the object can be read for a while, without any token. It is answered with the type that was
    /// found in the content, whatever its uploader claimed, and as an attachment: no browser runs it as a page of the
    /// bucket's origin.
    ///
    /// # Errors
    /// When it can't be signed.
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
        let signed = get.presigned(expiry).await.map_err(AwsError::of("GetObject"))?;
        Ok(signed.uri().to_owned())
    }

    /// What the address of every object begins with, up to the slash before its key.
    ///
    /// # Errors
    /// When it can't be signed.
    pub async fn address(&self) -> Result<String, AwsError> {
        const KEY: &str = "any";
        let expiry = PresigningConfig::expires_in(Duration::from_secs(1))
            .map_err(|error| AwsError::setup("GetObject", error))?;
        let get = self.client().get_object().bucket(&self.bucket).key(KEY);
        let signed = get.presigned(expiry).await.map_err(AwsError::of("GetObject"))?;
        let address = signed
            .uri()
            .split_once('?')
            .map_or(signed.uri(), |(address, _)| address);
        Ok(address.trim_end_matches(KEY).to_owned())
    }

    /// Signs a PUT that takes exactly the announced content, by its length and its SHA-256, and only while nothing is
    /// there: what was uploaded stays as it is.
    ///
    /// # Errors
    /// When it can't be signed.
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
        let signed = put.presigned(expiry).await.map_err(AwsError::of("PutObject"))?;
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
    /// [`ReadError::Missing`] when nothing is there, [`ReadError::Changed`] when it is not what [`Self::sign_upload`]
    /// lets through; [`ReadError::Cloud`] may pass.
    pub async fn pin(&self, key: String) -> Result<Pinned, ReadError> {
        let head = self.client().head_object().bucket(&self.bucket).key(&key);
        let found = match head.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(found) => found,
            Err(error) => return Err(refused("HeadObject", error)),
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
            Err(error) => return Err(refused("GetObject", error)),
        };
        Ok(Pinned {
            object,
            head: collected(got.body).await?,
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
            .map_err(AwsError::of("PutObject"))?;
        let etag = put.e_tag.unwrap_or_default();
        Ok(ObjectRef {
            key,
            etag,
            sha256,
            bytes,
            content_type: content_type.to_owned(),
        })
    }

    /// Reads an object back, if it is still the one that was pinned.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Changed`] are the object's; [`ReadError::Cloud`] may pass.
    pub async fn read(&self, object: &ObjectRef) -> Result<Vec<u8>, ReadError> {
        let get = self
            .client()
            .get_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .if_match(&object.etag);
        let got = match get.send().await {
            Ok(got) => got,
            Err(error) => return Err(refused("GetObject", error)),
        };
        let body = collected(got.body).await?;
        // An object of the same ETag can still differ: for multipart uploads an ETag is no digest.
        if hex::encode(Sha256::digest(&body)) == object.sha256 {
            Ok(body)
        } else {
            Err(ReadError::Changed)
        }
    }

    /// Makes the connection, so that the first real call does not wait for it.
    pub async fn warm(&self) {
        match self.check().await {
            // Without the right to list, S3 calls a missing object a refusal.
            Err(error) if !error.is_refusal() => {
                tracing::warn!(%error, "the payload bucket is not warm");
            }
            _ => {}
        }
    }

    /// Looks for an object that is not there.
    ///
    /// # Errors
    /// When the bucket did not answer, or does not let the caller look.
    pub async fn check(&self) -> Result<(), AwsError> {
        let get = self.client().get_object().bucket(&self.bucket).key("warm");
        match get.send().await.map_err(|error| refused("GetObject", error)) {
            Ok(_) | Err(ReadError::Missing | ReadError::Changed) => Ok(()),
            Err(ReadError::Cloud(error)) => Err(error),
        }
    }
}

fn refused<E, R>(operation: &'static str, error: SdkError<E, R>) -> ReadError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    match error.code() {
        Some("NoSuchKey" | "NotFound") => ReadError::Missing,
        Some("PreconditionFailed") => ReadError::Changed,
        _ => AwsError::of(operation)(error).into(),
    }
}

async fn collected(body: ByteStream) -> Result<Vec<u8>, AwsError> {
    let body = body.collect().await;
    Ok(body
        .map_err(|error| AwsError::setup("GetObject", error))?
        .into_bytes()
        .into())
}
