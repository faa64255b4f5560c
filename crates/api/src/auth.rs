//! Lets requests in as the tenant that their token names.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use mesh_http::{Denied, Problem};
use mesh_task::Tenant;

use crate::state::ApiState;

/// Lets a request in as its token's tenant, or answers 401.
pub(crate) async fn require_token(
    State(api): State<Arc<ApiState>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = tenant_of(&api, request.headers())?;
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// Lets a request without a token in as the tenant of `CompatTenant`. One with a token must have the right one.
pub(crate) async fn lend_tenant(
    State(api): State<Arc<ApiState>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = match &api.compat_tenant {
        Some(lent) if api.token.tenant_of(request.headers()) == Err(Denied::NoToken) => lent.clone(),
        _ => tenant_of(&api, request.headers())?,
    };
    request.extensions_mut().insert(tenant);
    Ok(next.run(request).await)
}

/// The tenant whose token a request brings.
pub(crate) fn tenant_of(api: &ApiState, headers: &HeaderMap) -> Result<Tenant, Problem> {
    Ok(api.token.tenant_of(headers)?)
}
