//! Payloads: one file each, and a row with its digest. The row is written after the file is on the disk, so that what a row
//! names exists.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mesh_backend::{
    BackendError, BackendFuture, BoxFuture, HEAD_BYTES, PayloadStore, Pinned, ReadError, SignedUpload,
};
use mesh_task::{NewUpload, ObjectRef, Task, TaskId, Tenant};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use tokio::sync::RwLock;
use tokio::task::spawn_blocking;

use crate::database::Database;
use crate::durable::{FileTree, Files, create_folder};
use crate::error::{file_failed, stopped};
use crate::incoming::Incoming;
use crate::signature::{Signed, Signer};

/// The folder of files that are not complete yet, beside those of the tenants. No tenant has this name.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// The payload store of the data folder.
#[derive(Debug)]
pub struct EmbeddedPayloads {
    pub(crate) folder: PathBuf,
    pub(crate) tree: Arc<FileTree>,
    pub(crate) database: Arc<Database>,
    /// Shared by those who give a file its place and then write its row; exclusive for who deletes files without a row.
    pub(crate) places: Arc<RwLock<()>>,
    signer: Signer,
    /// The address of the server, as clients reach it, without a slash at the end.
    address: String,
}

/// Why an upload was refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadRefusal {
    /// Another content than the announced one.
    #[error("the content is not the announced one: its length or its SHA-256 differs")]
    OtherContent,
    /// An uploaded object is never overwritten.
    #[error("this upload exists already: announce another")]
    Exists,
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl EmbeddedPayloads {
    pub(crate) fn open(
        folder: PathBuf,
        files: Arc<dyn Files>,
        database: Arc<Database>,
        signer: Signer,
        address: String,
    ) -> io::Result<Self> {
        let unfinished = folder.join(UNFINISHED);
        create_folder(&*files, &folder)?;
        create_folder(&*files, &unfinished)?;
        // What a process left that ended meanwhile.
        for file in fs::read_dir(&unfinished)? {
            files.remove(&file?.path())?;
        }
        Ok(Self {
            tree: Arc::new(FileTree::new(folder.clone(), files)),
            folder,
            database,
            places: Arc::default(),
            signer,
            address,
        })
    }

    /// Whether a request to an object's address was signed by this store, and has not expired.
    #[must_use]
    pub fn accepts(&self, signed: &Signed<'_>, signature: &str) -> bool {
        self.signer
            .accepts(signed, signature, Timestamp::now().as_second())
    }

    /// Begins to receive a file. Blocks.
    ///
    /// # Errors
    /// When the file can't be created.
    pub fn receive(&self) -> Result<Incoming, BackendError> {
        let name = format!("{:016x}", fastrand::u64(..));
        let path = self.folder.join(UNFINISHED).join(name);
        let files = Arc::clone(self.tree.files());
        let file = files
            .create(&path)
            .map_err(|error| file_failed("receive", &error))?;
        Ok(Incoming::new(path, file, files))
    }

    /// Stores the content of a signed upload, if it is the announced one and the key is free.
    ///
    /// # Errors
    /// [`UploadRefusal`].
    pub async fn accept(
        self: &Arc<Self>,
        key: String,
        content_type: String,
        incoming: Incoming,
        announced: (&str, u64),
    ) -> Result<(), UploadRefusal> {
        let sha256 = incoming.sha256();
        if (sha256.as_str(), incoming.bytes()) != announced {
            return Err(UploadRefusal::OtherContent);
        }
        let object = ObjectRef {
            key,
            etag: sha256.clone(),
            bytes: incoming.bytes(),
            sha256,
            content_type,
        };
        let _place = self.places.read().await;
        if self.row(&object.key).await?.is_some() {
            return Err(UploadRefusal::Exists);
        }
        self.keep(incoming, &object).await?;
        if self.insert(object, false).await? {
            Ok(())
        } else {
            Err(UploadRefusal::Exists)
        }
    }

    /// The stored file of a key, with its content type; `None` if there is none.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn file(&self, key: &str) -> Result<Option<(PathBuf, ObjectRef)>, BackendError> {
        let row = self.row(key).await?;
        Ok(row.map(|object| (self.path(key), object)))
    }

    async fn put(&self, key: String, body: Vec<u8>, content_type: &str) -> Result<ObjectRef, BackendError> {
        let mut incoming = self.receive()?;
        let incoming = spawn_blocking(move || incoming.write(&body).map(|()| incoming));
        let incoming = incoming.await.map_err(|_| stopped("put"))??;
        let sha256 = incoming.sha256();
        let object = ObjectRef {
            key,
            etag: sha256.clone(),
            bytes: incoming.bytes(),
            sha256,
            content_type: content_type.to_owned(),
        };
        let _place = self.places.read().await;
        self.keep(incoming, &object).await?;
        self.insert(object.clone(), true).await?;
        Ok(object)
    }

    /// Gives a received file its place, so that it survives a power cut.
    async fn keep(&self, incoming: Incoming, object: &ObjectRef) -> Result<(), BackendError> {
        let target = self.path(&object.key);
        let tree = Arc::clone(&self.tree);
        let kept = spawn_blocking(move || {
            let file = incoming.sync()?;
            tree.place(file, &target)
        });
        let kept = kept.await.map_err(|_| stopped("keep"))?;
        kept.map_err(|error| file_failed("keep", &error))
    }

    /// Writes an object's row. Returns whether it did: without `replace`, an existing one stays.
    async fn insert(&self, object: ObjectRef, replace: bool) -> Result<bool, BackendError> {
        let written = self.database.write("insert_payload", move |connection| {
            let tenant = object.key.split('/').next().unwrap_or_default();
            let statement = if replace {
                "INSERT INTO payloads (key, tenant, sha256, bytes, content_type, stored_at) VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT (key) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes,
                     content_type = excluded.content_type, stored_at = excluded.stored_at"
            } else {
                "INSERT OR IGNORE INTO payloads (key, tenant, sha256, bytes, content_type, stored_at) VALUES (?, ?, ?, ?, ?, ?)"
            };
            let inserted = connection.prepare_cached(statement)?.execute(params![
                object.key,
                tenant,
                object.sha256,
                i64::try_from(object.bytes).unwrap_or(i64::MAX),
                object.content_type,
                Timestamp::now().as_millisecond(),
            ])?;
            Ok(inserted > 0)
        });
        written.await
    }

    async fn row(&self, key: &str) -> Result<Option<ObjectRef>, BackendError> {
        let key = key.to_owned();
        let read = self.database.read("payload", move |connection| {
            let mut select = connection
                .prepare_cached("SELECT sha256, bytes, content_type FROM payloads WHERE key = ?")?;
            let row = select.query_row([&key], |row| {
                let sha256: String = row.get(0)?;
                let bytes: i64 = row.get(1)?;
                Ok(ObjectRef {
                    key: key.clone(),
                    etag: sha256.clone(),
                    sha256,
                    bytes: u64::try_from(bytes).unwrap_or(0),
                    content_type: row.get(2)?,
                })
            });
            row.optional()
        });
        read.await
    }

    /// The place of a key's file. Only the server makes keys, from names that are safe in a path.
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    fn signed_address(&self, signed: &Signed<'_>) -> String {
        let Signed {
            key,
            expires,
            content_type,
            ..
        } = signed;
        let signature = self.signer.sign(signed);
        // It may have parameters, so also spaces and equal signs.
        let content_type = utf8_percent_encode(content_type, NON_ALPHANUMERIC);
        format!(
            "{}/payloads/{key}?expires={expires}&type={content_type}&signature={signature}",
            self.address
        )
    }
}

impl PayloadStore for EmbeddedPayloads {
    fn put_input<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: TaskId,
        body: Vec<u8>,
        content_type: &'a str,
    ) -> BackendFuture<'a, ObjectRef> {
        Box::pin(self.put(format!("{tenant}/{id}/input"), body, content_type))
    }

    fn put_result<'a>(&'a self, task: &'a Task, json: Vec<u8>) -> BackendFuture<'a, ObjectRef> {
        let key = format!("{}/{}/result-{}", task.tenant, task.id, task.fence);
        Box::pin(self.put(key, json, "application/json"))
    }

    fn link<'a>(&'a self, object: &'a ObjectRef, expires_in: Duration) -> BackendFuture<'a, String> {
        let signed = Signed {
            method: "GET",
            key: &object.key,
            expires: (Timestamp::now() + expires_in).as_second(),
            content_type: &object.content_type,
            sha256: "",
            length: 0,
        };
        let address = self.signed_address(&signed);
        Box::pin(async move { Ok(address) })
    }

    fn address(&self) -> BackendFuture<'_, String> {
        Box::pin(async move { Ok(format!("{}/payloads/", self.address)) })
    }

    fn sign_upload<'a>(
        &'a self,
        key: &'a str,
        upload: &'a NewUpload,
        expires_in: Duration,
    ) -> BackendFuture<'a, SignedUpload> {
        Box::pin(async move {
            let sha256 = hex::encode(upload.sha256);
            let signed = Signed {
                method: "PUT",
                key,
                expires: (Timestamp::now() + expires_in).as_second(),
                content_type: &upload.content_type,
                sha256: &sha256,
                length: upload.length,
            };
            let url = format!("{}&sha256={sha256}", self.signed_address(&signed));
            let headers = [
                ("content-type".to_owned(), upload.content_type.clone()),
                ("content-length".to_owned(), upload.length.to_string()),
            ];
            Ok(SignedUpload {
                url,
                headers: headers.into(),
            })
        })
    }

    fn pin(&self, key: String) -> BoxFuture<'_, Result<Pinned, ReadError>> {
        Box::pin(async move {
            let object = self.row(&key).await?.ok_or(ReadError::Missing)?;
            let path = self.path(&key);
            let head = spawn_blocking(move || {
                let mut head = Vec::new();
                File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
                Ok(head)
            });
            let head = head.await.map_err(|_| stopped("pin"))?;
            Ok(Pinned {
                object,
                head: head.map_err(|error| read_error("pin", &error))?,
            })
        })
    }

    fn read<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Vec<u8>, ReadError>> {
        Box::pin(async move {
            let stored = self.row(&object.key).await?.ok_or(ReadError::Missing)?;
            if stored.sha256 != object.sha256 {
                return Err(ReadError::Changed);
            }
            let path = self.path(&object.key);
            let body = spawn_blocking(move || {
                let body = fs::read(path)?;
                let sha256 = hex::encode(Sha256::digest(&body));
                Ok((body, sha256))
            });
            let body = body.await.map_err(|_| stopped("read"))?;
            let (body, sha256) = body.map_err(|error| read_error("read", &error))?;
            // The file may have been changed by hand, or be damaged.
            if sha256 == object.sha256 {
                Ok(body)
            } else {
                Err(ReadError::Changed)
            }
        })
    }

    fn warm(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn check(&self) -> BackendFuture<'_, ()> {
        Box::pin(async move { self.row("none").await.map(drop) })
    }
}

fn read_error(call: &'static str, error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => file_failed(call, error).into(),
    }
}
