//! `POST /v1/uploads`: signs the upload of a content that is too large for a request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use mesh_api_types::UploadTicket;
use mesh_http::{JsonBody, Problem, ProblemKind};
use mesh_task::{NewUpload, Tenant, UploadId};

use crate::state::ApiState;

/// An upload must begin within this time.
const UPLOAD_EXPIRES_IN: Duration = Duration::from_mins(15);

/// Announces an upload. The answer is a signed request that uploads exactly this content, once.
#[utoipa::path(
    post,
    path = "/uploads",
    tag = "uploads",
    operation_id = "announce_upload",
    request_body(content = ref("#/components/schemas/NewUpload")),
    responses((status = 201, description = "The request to send within 15 minutes, with exactly these headers.", body = UploadTicket)),
)]
pub(crate) async fn announce(
    State(api): State<Arc<ApiState>>,
    Extension(tenant): Extension<Tenant>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let upload =
        NewUpload::parse(body).map_err(|invalid| Problem::new(ProblemKind::InvalidUpload, invalid.0))?;
    let id = UploadId::generate();
    let expires_at = Timestamp::now() + UPLOAD_EXPIRES_IN;
    let signed = api
        .payloads
        .sign_upload(&id.key(&tenant), &upload, UPLOAD_EXPIRES_IN)
        .await?;
    let ticket = UploadTicket {
        id,
        method: "PUT".to_owned(),
        url: signed.url,
        headers: signed.headers,
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(ticket)).into_response())
}
