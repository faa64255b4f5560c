//! Signed addresses: who has one may read or write one object, until it expires. The key is in the data folder.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of the key, in bytes: a block of SHA-256.
pub(crate) const KEY_BYTES: usize = 64;

/// What a signature is about. Each field is a line of what is signed, so none contains a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `GET` or `PUT`.
    pub method: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// When the address expires, in seconds since the epoch.
    pub expires: i64,
    /// The content type that the response has, or that the upload announces.
    pub content_type: &'a str,
    /// The digest and the length that an upload must have; empty and 0 for a read.
    pub sha256: &'a str,
    pub length: u64,
}

/// Signs and verifies addresses.
#[derive(Clone)]
pub(crate) struct Signer([u8; KEY_BYTES]);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(crate) fn new(key: [u8; KEY_BYTES]) -> Self {
        Self(key)
    }

    /// The signature, in hex.
    pub(crate) fn sign(&self, signed: &Signed<'_>) -> String {
        hex::encode(self.mac(signed).finalize().into_bytes())
    }

    /// Whether this is the signature, and has not expired at this time in seconds since the epoch.
    pub(crate) fn accepts(&self, signed: &Signed<'_>, signature: &str, now: i64) -> bool {
        let given = hex::decode(signature).unwrap_or_default();
        // Compared in constant time.
        self.mac(signed).verify_slice(&given).is_ok() && now < signed.expires
    }

    fn mac(&self, signed: &Signed<'_>) -> Hmac<Sha256> {
        let Signed {
            method,
            key,
            expires,
            content_type,
            sha256,
            length,
        } = signed;
        let text = format!("{method}\n{key}\n{expires}\n{content_type}\n{sha256}\n{length}");
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_valid_for_its_own_address_until_it_expires() {
        let signer = Signer::new([7; KEY_BYTES]);
        let signed = Signed {
            method: "GET",
            key: "default/id/input",
            expires: 100,
            content_type: "image/png",
            sha256: "",
            length: 0,
        };
        let signature = signer.sign(&signed);
        assert!(signer.accepts(&signed, &signature, 99));
        assert!(!signer.accepts(&signed, &signature, 100));
        for other in [
            Signed {
                method: "PUT",
                ..signed
            },
            Signed {
                key: "other/id/input",
                ..signed
            },
            Signed {
                expires: 101,
                ..signed
            },
            Signed {
                content_type: "text/html",
                ..signed
            },
            Signed {
                sha256: "00",
                ..signed
            },
            Signed { length: 1, ..signed },
        ] {
            assert!(!signer.accepts(&other, &signature, 99), "{other:?}");
        }
        assert!(!Signer::new([8; KEY_BYTES]).accepts(&signed, &signature, 99));
        for given in ["", "zz", &signature[2..]] {
            assert!(!signer.accepts(&signed, given, 99), "{given}");
        }
    }
}
