//! The first key, with which a client signs in: a file in the data folder, and a row of its database.
//!
//! The file is written before the row, and each start stores the row of the file's token if it is missing. So a server that is
//! killed in between makes no second key. Who deletes the file or replaces it gets another first key with the next start, and
//! the one before is revoked.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use mesh_backend::BackendError;
use mesh_embedded::{Disk, Embedded, FirstKey, Key, write_new_file};
use mesh_http::{AcceptedKey, AcceptedKeys, token_format};
use sha2::{Digest, Sha256};

const FILE: &str = "token";

/// Why the first key can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("{file} can't be used ({error}): check that the server may read and write it", file = file.display())]
    File { file: PathBuf, error: io::Error },
    #[error("{file} does not contain a whole token: write it again, or delete the file to get another one", file = file.display())]
    Mistyped { file: PathBuf },
    #[error("the keys can't be read: {0}")]
    Keys(#[from] BackendError),
}

/// The keys that the server accepts. The first start makes one.
pub(crate) async fn accepted_keys(folder: &Path, embedded: &Embedded) -> Result<AcceptedKeys, TokenError> {
    let token = read_or_make(folder)?;
    let hash = Sha256::digest(&token).into();
    if embedded.store_first_key(hash).await? == FirstKey::Revoked {
        tracing::warn!(
            event = "token_revoked",
            "the token in the data folder is revoked: delete the file to get another one"
        );
    }
    let keys = embedded.keys().await?.into_iter();
    let keys = keys.map(
        |Key {
             hash,
             tenant,
             expires_at,
             ..
         }| AcceptedKey {
            hash,
            tenant,
            expires_at: expires_at.map(Into::into),
        },
    );
    Ok(keys.collect())
}

/// Reads the token of a data folder. The first start makes it, and shows it where a person looks.
fn read_or_make(folder: &Path) -> Result<String, TokenError> {
    let file = folder.join(FILE);
    let failed = |error| TokenError::File {
        file: file.clone(),
        error,
    };
    match fs::read_to_string(&file) {
        Ok(token) if token_format::is_whole(token.trim().as_bytes()) => Ok(token.trim().to_owned()),
        Ok(_) => Err(TokenError::Mistyped { file }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; token_format::SECRET_BYTES];
            getrandom::fill(&mut secret).map_err(|error| failed(io::Error::other(error)))?;
            let token = token_format::token(&secret);
            write_new_file(&Disk, &file, format!("{token}\n").as_bytes()).map_err(failed)?;
            if io::stderr().is_terminal() {
                eprintln!("The token of this server, also in {}: {token}", file.display());
            }
            Ok(token)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use http::{HeaderMap, HeaderValue};
    use mesh_http::Denied;
    use mesh_http::auth::SERVICE_TOKEN;
    use tempfile::TempDir;

    use super::*;

    fn open(folder: &TempDir) -> Embedded {
        let settings = mesh_embedded::Settings {
            address: "http://127.0.0.1:8000".to_owned(),
            max_receives: 3,
        };
        Embedded::open(folder.path(), settings).unwrap()
    }

    async fn start(folder: &TempDir) -> AcceptedKeys {
        accepted_keys(folder.path(), &open(folder)).await.unwrap()
    }

    fn token(folder: &TempDir) -> String {
        fs::read_to_string(folder.path().join(FILE))
            .unwrap()
            .trim()
            .to_owned()
    }

    fn sign_in(keys: &AcceptedKeys, token: &str) -> Result<(), Denied> {
        let token = HeaderValue::try_from(token).unwrap();
        keys.tenant_of(&HeaderMap::from_iter([(SERVICE_TOKEN, token)]))
            .map(drop)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_start_makes_a_key_that_later_starts_accept() {
        let folder = tempfile::tempdir().unwrap();
        let keys = start(&folder).await;
        let made = token(&folder);
        assert_eq!(sign_in(&keys, &made), Ok(()));
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let keys = start(&folder).await;
        assert_eq!((token(&folder), sign_in(&keys, &made)), (made.clone(), Ok(())));
        assert_eq!(open(&folder).keys().await.unwrap().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_start_that_was_killed_at_any_point_makes_no_second_key() {
        let folder = tempfile::tempdir().unwrap();
        // Killed while it wrote the file.
        let unfinished = folder.path().join("token.unfinished");
        fs::write(&unfinished, "aim_").unwrap();
        let made = read_or_make(folder.path()).unwrap();
        assert!(!unfinished.exists());
        // Killed before it wrote the row.
        assert_eq!(sign_in(&start(&folder).await, &made), Ok(()));
        assert_eq!(open(&folder).keys().await.unwrap().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_file_makes_another_first_key_and_revokes_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        start(&folder).await;
        let before = token(&folder);
        fs::remove_file(folder.path().join(FILE)).unwrap();
        let keys = start(&folder).await;
        let after = token(&folder);
        assert_eq!(sign_in(&keys, &before), Err(Denied::WrongToken));
        assert_eq!(sign_in(&keys, &after), Ok(()));
        // A revoked key stays revoked.
        fs::write(folder.path().join(FILE), &before).unwrap();
        let keys = start(&folder).await;
        assert_eq!(sign_in(&keys, &before), Err(Denied::WrongToken));
        assert_eq!(sign_in(&keys, &after), Ok(()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_without_a_whole_token_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        start(&folder).await;
        let made = token(&folder);
        for text in ["", "aim_", &made[..made.len() - 1], "a token of another form"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            let embedded = open(&folder);
            let error = accepted_keys(folder.path(), &embedded).await.unwrap_err();
            let file = folder.path().join(FILE);
            assert!(
                error.to_string().starts_with(&file.display().to_string()),
                "{error}"
            );
        }
    }
}
