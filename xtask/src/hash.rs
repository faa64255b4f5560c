//! SHA-256 of bytes, files and lists of inputs, in hex.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

pub(crate) fn bytes(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

pub(crate) fn file(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| format!("can't read {}", path.display()))?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// A hash over named inputs. Each name and input is hashed by itself first, so two different lists never have the same
/// bytes.
#[derive(Debug, Default)]
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn add(&mut self, name: &str, sha256: &str) -> &mut Self {
        self.0.update(Sha256::digest(name));
        self.0.update(Sha256::digest(sha256));
        self
    }

    /// 20 hex digits: long enough to be unique, short enough for a folder's name.
    pub(crate) fn finish(&self) -> String {
        hex::encode(self.0.clone().finalize())[..20].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_hash_is_that_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, vec![7_u8; (1 << 20) + 3]).unwrap();
        assert_eq!(file(&path).unwrap(), bytes(&vec![7_u8; (1 << 20) + 3]));
        assert_eq!(
            bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_key_depends_on_the_boundaries_of_names_and_inputs() {
        let key = |inputs: &[(&str, &str)]| {
            let mut key = Key::default();
            for (name, input) in inputs {
                key.add(name, input);
            }
            key.finish()
        };
        assert_eq!(key(&[("a", "bc")]), key(&[("a", "bc")]));
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(key(&[("a", "b"), ("c", "d")]), key(&[("c", "d"), ("a", "b")]));
    }
}
