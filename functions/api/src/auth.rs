//! Who calls: a token, known here only by its SHA-256, names the tenant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use mesh_task::Tenant;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::Api;
use crate::problem::Problem;

/// The SHA-256 of the token that is let in.
#[derive(Clone)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Compares in constant time: how long it takes tells nothing of the token.
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

/// Lets a request in as its token's tenant, or answers 401.
pub(crate) async fn require_token(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = tenant_of(&api, request.headers())?;
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// Lets a request without a token in as the tenant of `CompatTenant`. One with a token must have the right one.
pub(crate) async fn lend_tenant(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = match &api.compat_tenant {
        Some(lent) if presented(request.headers()).is_none() => lent.clone(),
        _ => tenant_of(&api, request.headers())?,
    };
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// The tenant whose token a request brings.
pub(crate) fn tenant_of(api: &Api, headers: &HeaderMap) -> Result<Tenant, Problem> {
    let token = presented(headers).ok_or_else(Problem::token_missing)?;
    if api.token.admits(token) {
        Ok(Tenant::first())
    } else {
        Err(Problem::token_wrong())
    }
}

/// The token of `X-Service-Token`, else of `Authorization: Bearer`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(token) = headers.get("x-service-token") {
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
