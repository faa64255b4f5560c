//! Inputs and results that are too large for a task's record.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_task::{NewUpload, ObjectRef, Task, TaskId, Tenant};

use crate::{BackendError, BackendFuture};

/// How many bytes of an upload are inspected when a task refers to it. They contain an image's size, even behind the thumbnail
/// that a camera stores before it, and the first 200 words of a text.
pub const HEAD_BYTES: usize = 65_536;

/// A signed PUT request for one content.
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
    /// The first [`HEAD_BYTES`] of its content.
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
    Backend(#[from] BackendError),
}

/// The store of payloads. Only the server makes keys: nothing that a client sends becomes part of one.
pub trait PayloadStore: Debug + Send + Sync {
    /// Stores a task's input and pins it.
    ///
    /// # Errors
    /// When the object may not have been written.
    fn put_input<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        body: Vec<u8>,
        content_type: &'a str,
    ) -> BackendFuture<'a, ObjectRef>;

    /// Stores the result of the attempt that `task` was claimed for. The key contains the fence, so that a stale worker
    /// overwrites no newer result.
    ///
    /// # Errors
    /// When the object may not have been written.
    fn put_result<'a>(&'a self, task: &'a Task, json: Vec<u8>) -> BackendFuture<'a, ObjectRef>;

    /// A URL that reads the object without a token until `expires_in` is over. The response has the content type that was
    /// detected, not the one that the uploader claimed, and is an attachment: no browser runs it as a page of the store's origin.
    ///
    /// # Errors
    /// When the request can't be signed.
    fn link<'a>(&'a self, object: &'a ObjectRef, expires_in: Duration) -> BackendFuture<'a, String>;

    /// The prefix of every object's URL, up to the slash before the key.
    ///
    /// # Errors
    /// When the request can't be signed.
    fn address(&self) -> BackendFuture<'_, String>;

    /// Signs a PUT that accepts exactly the announced content (length and SHA-256 are signed), and only while the key does not
    /// exist: an uploaded object is never overwritten.
    ///
    /// # Errors
    /// When the request can't be signed.
    fn sign_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a NewUpload,
        expires_in: Duration,
    ) -> BackendFuture<'a, SignedUpload>;

    /// Pins the object that a client uploaded to this key.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when the object does not exist, [`ReadError::Changed`] when [`Self::sign_upload`] would not have
    /// accepted it; [`ReadError::Backend`] may pass.
    fn pin(&self, key: String) -> BoxFuture<'_, Result<Pinned, ReadError>>;

    /// Reads an object, if it is still the one that was pinned.
    ///
    /// # Errors
    /// [`ReadError::Missing`] and [`ReadError::Changed`] are permanent; [`ReadError::Backend`] may pass.
    fn read<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Vec<u8>, ReadError>>;

    /// Opens the connection, so that the first real call does not wait for it.
    fn warm(&self) -> BoxFuture<'_, ()>;

    /// Reads an object that does not exist, to show that the store answers.
    ///
    /// # Errors
    /// When the store did not answer, or refused the read.
    fn check(&self) -> BackendFuture<'_, ()>;
}
