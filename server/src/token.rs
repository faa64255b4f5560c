//! The first key, with which a client signs in.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use mesh_embedded::{Disk, write_new_file};
use mesh_http::TokenHash;
use sha2::{Digest, Sha256};

const FILE: &str = "token";
const PREFIX: &str = "aim_";
/// The random part, in bytes.
const SECRET_BYTES: usize = 24;
/// The checksum: the first bytes of the SHA-256 of what comes before it. It shows that a key was copied whole.
const CHECKSUM_BYTES: usize = 3;

/// Reads the key of a data folder. The first start makes it, and shows it where a person looks.
pub(crate) fn read_or_make(folder: &Path) -> io::Result<TokenHash> {
    let path = folder.join(FILE);
    let token = match fs::read_to_string(&path) {
        Ok(token) => token.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let token = make()?;
            write_new_file(&Disk, &path, format!("{token}\n").as_bytes())?;
            if io::stderr().is_terminal() {
                eprintln!("The token of this server, also in {}: {token}", path.display());
            }
            token
        }
        Err(error) => return Err(error),
    };
    if token.is_empty() {
        let message = format!(
            "{} is empty: delete it, and the next start makes a new token",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let hash = hex::encode(Sha256::digest(&token));
    hash.parse().map_err(io::Error::other)
}

fn make() -> io::Result<String> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let body = format!("{PREFIX}{}", hex::encode(secret));
    let checksum = hex::encode(&Sha256::digest(&body)[..CHECKSUM_BYTES]);
    Ok(body + &checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_ends_with_its_checksum() {
        let folder = tempfile::tempdir().unwrap();
        read_or_make(folder.path()).unwrap();
        let made = fs::read_to_string(folder.path().join(FILE)).unwrap();
        read_or_make(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), made);
        let token = made.trim();
        let (body, checksum) = token.split_at(token.len() - 2 * CHECKSUM_BYTES);
        assert!(body.starts_with(PREFIX) && token.len() == 4 + 2 * (SECRET_BYTES + CHECKSUM_BYTES));
        assert_eq!(checksum, hex::encode(&Sha256::digest(body)[..CHECKSUM_BYTES]));
    }

    #[test]
    fn an_empty_file_is_not_a_key_that_anyone_could_send() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "\n").unwrap();
        let refused = read_or_make(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("is empty: delete it"), "{refused}");
    }
}
