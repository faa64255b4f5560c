//! Authentication: a token, of which only the SHA-256 is configured, names the tenant.

use std::fmt;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use mesh_task::Tenant;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Problem;

pub const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the token is missing: send it as X-Service-Token: <token>, or as Authorization: Bearer <token>")]
    NoToken,
    #[error("the token is wrong: check that it belongs to the stack at this address")]
    WrongToken,
}

/// The SHA-256 of the token that the stack accepts.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The tenant that the request's token belongs to.
    ///
    /// # Errors
    /// [`Denied`] when the token is missing or wrong.
    pub fn tenant_of(&self, headers: &HeaderMap) -> Result<Tenant, Denied> {
        let token = presented(headers).ok_or(Denied::NoToken)?;
        if self.admits(token) {
            Ok(Tenant::first())
        } else {
            Err(Denied::WrongToken)
        }
    }

    /// Compares in constant time, so that the time reveals nothing about the token.
    fn admits(&self, token: &[u8]) -> bool {
        Sha256::digest(token).as_slice().ct_eq(&self.0).into()
    }
}

impl FromStr for TokenHash {
    type Err = hex::FromHexError;

    fn from_str(hash: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Lets a request in as its token's tenant, which the handlers find in the request's extensions.
///
/// # Errors
/// The problem `unauthorized`.
pub async fn require_token(
    State(token): State<TokenHash>,
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
    pub token: TokenHash,
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
        let hash: TokenHash = hex::encode(Sha256::digest("secret")).parse().unwrap();
        assert!(hash.admits(b"secret"));
        for token in ["", "secre", "secret ", "Secret"] {
            assert!(!hash.admits(token.as_bytes()), "{token}");
        }
        assert_eq!(format!("{hash:?}"), "TokenHash(..)");
        assert!("abc".parse::<TokenHash>().is_err());
    }
}
