//! Authentication: a token names the tenant. Only the SHA-256 of each token is stored.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use mesh_task::Tenant;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Problem, token_format};

pub const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the token is missing: send it as X-Service-Token: <token>, or as Authorization: Bearer <token>")]
    NoToken,
    #[error(
        "the token's checksum is wrong, so it was not copied whole: copy it again, from `aim_` to its end"
    )]
    MistypedToken,
    #[error("the token is wrong: check that it belongs to the stack at this address")]
    WrongToken,
}

/// A key that is accepted. Of its token only the hash is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedKey {
    /// The token's SHA-256.
    pub hash: [u8; 32],
    pub tenant: Tenant,
    /// From then on the key is not accepted. `None` for a key that does not expire.
    pub expires_at: Option<SystemTime>,
}

/// The keys that are accepted.
#[derive(Clone)]
pub struct AcceptedKeys(Arc<[AcceptedKey]>);

impl AcceptedKeys {
    /// The tenant that the request's token belongs to.
    ///
    /// # Errors
    /// [`Denied`] when the token is missing or wrong.
    pub fn tenant_of(&self, headers: &HeaderMap) -> Result<Tenant, Denied> {
        let token = presented(headers).ok_or(Denied::NoToken)?;
        match self.find(token, SystemTime::now()) {
            Some(key) => Ok(key.tenant.clone()),
            // Said to everyone: whether the checksum is wrong is in the token itself.
            None if token_format::is_mistyped(token) => Err(Denied::MistypedToken),
            None => Err(Denied::WrongToken),
        }
    }

    /// Compares in constant time, so that the time reveals nothing about the token.
    fn find(&self, token: &[u8], now: SystemTime) -> Option<&AcceptedKey> {
        let hash = Sha256::digest(token);
        let mut keys = self.0.iter();
        let key = keys.find(|key| hash.as_slice().ct_eq(&key.hash).into())?;
        let is_valid = key.expires_at.is_none_or(|expires_at| now < expires_at);
        is_valid.then_some(key)
    }
}

impl FromIterator<AcceptedKey> for AcceptedKeys {
    fn from_iter<I: IntoIterator<Item = AcceptedKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl FromStr for AcceptedKeys {
    type Err = hex::FromHexError;

    /// The one key whose token has this SHA-256, in hex.
    fn from_str(sha256: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; 32];
        hex::decode_to_slice(sha256, &mut hash)?;
        let key = AcceptedKey {
            hash,
            tenant: Tenant::first(),
            expires_at: None,
        };
        Ok(Self::from_iter([key]))
    }
}

impl fmt::Debug for AcceptedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptedKeys(..)")
    }
}

/// Lets a request in as its token's tenant, which the handlers find in the request's extensions.
///
/// # Errors
/// The problem `unauthorized`.
pub async fn require_token(
    State(token): State<AcceptedKeys>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = token.tenant_of(request.headers())?;
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// Who may call the routes of the earlier systems, whose clients may not know a token.
#[derive(Debug, Clone)]
pub struct CompatAccess {
    pub token: AcceptedKeys,
    /// The tenant of requests without a token. `None` refuses them.
    pub anonymous: Option<Tenant>,
}

/// Lets a request without a token in as the tenant of anonymous requests. One with a token must have the right one.
///
/// # Errors
/// The problem `unauthorized`.
pub async fn allow_anonymous_compat(
    State(access): State<CompatAccess>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = match (access.token.tenant_of(request.headers()), access.anonymous) {
        (Err(Denied::NoToken), Some(tenant)) => tenant,
        (tenant, _) => tenant?,
    };
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// The token of `X-Service-Token`, else of `Authorization: Bearer`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(token) = headers.get(SERVICE_TOKEN) {
        return Some(token.as_bytes());
    }
    let (scheme, token) = headers
        .get(AUTHORIZATION)?
        .as_bytes()
        .split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_token_comes_in_either_header() {
        assert_eq!(
            presented(&headers("x-service-token", "secret")),
            Some(&b"secret"[..])
        );
        assert_eq!(
            presented(&headers("authorization", "Bearer secret")),
            Some(&b"secret"[..])
        );
        assert_eq!(
            presented(&headers("authorization", "bearer secret")),
            Some(&b"secret"[..])
        );
        for value in ["", "secret", "Basic secret", "Bearer"] {
            assert_eq!(presented(&headers("authorization", value)), None, "{value}");
        }
        assert_eq!(presented(&HeaderMap::new()), None);
    }

    #[test]
    fn only_the_token_itself_is_admitted_and_nothing_prints_it() {
        let keys: AcceptedKeys = hex::encode(Sha256::digest("secret")).parse().unwrap();
        let now = SystemTime::now();
        assert!(keys.find(b"secret", now).is_some());
        for token in ["", "secre", "secret ", "Secret"] {
            assert!(keys.find(token.as_bytes(), now).is_none(), "{token}");
        }
        assert_eq!(format!("{keys:?}"), "AcceptedKeys(..)");
        assert!("abc".parse::<AcceptedKeys>().is_err());
    }

    #[test]
    fn each_key_belongs_to_its_tenant_until_it_expires() {
        let now = SystemTime::now();
        let key = |token: &str, tenant: &str, expires_at| AcceptedKey {
            hash: Sha256::digest(token).into(),
            tenant: tenant.to_owned().try_into().unwrap(),
            expires_at,
        };
        let keys = AcceptedKeys::from_iter([key("one", "first", None), key("two", "second", Some(now))]);
        let tenant = |token: &str, now| keys.find(token.as_bytes(), now).map(|key| key.tenant.to_string());
        assert_eq!(tenant("one", now).as_deref(), Some("first"));
        let before = now - std::time::Duration::from_secs(1);
        assert_eq!(tenant("two", before).as_deref(), Some("second"));
        assert_eq!(tenant("two", now), None);
    }

    #[test]
    fn a_mistyped_token_is_distinguished_from_one_of_another_server() {
        let keys: AcceptedKeys = "00".repeat(32).parse().unwrap();
        let denied = |token: &str| {
            let token = http::HeaderValue::try_from(token).unwrap();
            let headers = HeaderMap::from_iter([(SERVICE_TOKEN, token)]);
            keys.tenant_of(&headers).unwrap_err()
        };
        let token = token_format::token(&[7; token_format::SECRET_BYTES]);
        assert_eq!(denied(&token), Denied::WrongToken);
        assert_eq!(denied("a token of another form"), Denied::WrongToken);
        let typo = token.replacen("07", "08", 1);
        for mistyped in [&typo, &token[..token.len() - 1], &format!("{token}0"), "aim_"] {
            assert_eq!(denied(mistyped), Denied::MistypedToken, "{mistyped}");
        }
    }
}
