//! The format of a token: `aim_`, a random secret, and a checksum, all in hex. By the checksum a token that was not copied
//! whole is recognised, and by `aim_` one that was published by mistake is found.

use sha2::{Digest, Sha256};

const PREFIX: &str = "aim_";
/// The length of the secret, in bytes.
pub const SECRET_BYTES: usize = 24;
/// The length of the checksum, in bytes: the first ones of the SHA-256 of what comes before it.
const CHECKSUM_BYTES: usize = 3;

/// The token with this secret.
#[must_use]
pub fn token(secret: &[u8; SECRET_BYTES]) -> String {
    let body = format!("{PREFIX}{}", hex::encode(secret));
    let checksum = checksum(body.as_bytes());
    body + &checksum
}

/// Whether this is a whole token.
#[must_use]
pub fn is_whole(token: &[u8]) -> bool {
    let body = PREFIX.len() + 2 * SECRET_BYTES;
    token.split_at_checked(body).is_some_and(|(body, given)| {
        body.starts_with(PREFIX.as_bytes()) && given == checksum(body).as_bytes()
    })
}

/// Whether this begins as a token does, and is not a whole one.
#[must_use]
pub fn is_mistyped(token: &[u8]) -> bool {
    token.starts_with(PREFIX.as_bytes()) && !is_whole(token)
}

fn checksum(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..CHECKSUM_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_an_earlier_release_is_still_whole() {
        let token = token(&[0xab; SECRET_BYTES]);
        assert_eq!(token, format!("aim_{}272bc3", "ab".repeat(SECRET_BYTES)));
        assert!(is_whole(token.as_bytes()) && !is_mistyped(token.as_bytes()));
        assert!(!is_whole(b"") && !is_whole(b"aim_") && !is_whole(token.to_uppercase().as_bytes()));
    }
}
