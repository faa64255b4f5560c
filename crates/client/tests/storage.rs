//! The client against a mock payload bucket: uploads and large results.

use mesh_client::{Client, Error, Link};
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(server: &MockServer) -> Client {
    Client::new(&server.uri(), "secret").expect("the address is valid")
}

#[tokio::test]
async fn an_upload_goes_to_the_signed_address_without_the_token_and_is_retried() {
    let server = MockServer::start().await;
    let id = mesh_task::UploadId::generate();
    let announcement = json!({
        "content_type": "text/plain", "length": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    let upload = json!({
        "id": id, "method": "PUT", "url": format!("{}/bucket/x?signed", server.uri()), "headers": { "x-signed": "yes" },
        "expires_at": "2026-01-31T12:00:00Z",
    });
    let failing = ResponseTemplate::new(500).insert_header("retry-after", "0");
    Mock::given(path("/v1/uploads"))
        .respond_with(failing.clone())
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/v1/uploads"))
        .and(body_json(announcement))
        .respond_with(ResponseTemplate::new(201).set_body_json(upload))
        .mount(&server)
        .await;
    // The first attempt stores the upload, but its response is lost. The second one gets 412: it exists already.
    Mock::given(method("PUT"))
        .respond_with(failing)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/bucket/x"))
        .and(header("x-signed", "yes"))
        .respond_with(ResponseTemplate::new(412))
        .up_to_n_times(1)
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let client = client(&server);
    let uploaded = client.upload("text/plain", b"abc".to_vec()).await.unwrap();
    assert_eq!(uploaded, id);
    let put = server.received_requests().await.unwrap().pop().unwrap();
    assert_eq!(
        (put.body.as_slice(), put.headers.get("authorization")),
        (&b"abc"[..], None)
    );
    let refused = client.upload("text/plain", b"abc".to_vec()).await.unwrap_err();
    assert!(matches!(refused, Error::NotStored { status: 403 }), "{refused}");
}

#[tokio::test]
async fn a_downloaded_result_must_match_its_checksum() {
    let server = MockServer::start().await;
    Mock::given(path("/bucket/x"))
        .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "0"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/bucket/x"))
        .respond_with(ResponseTemplate::new(200).set_body_string("abc"))
        .mount(&server)
        .await;
    let link = |at: &str, sha256: &str| Link {
        url: format!("{}/bucket/{at}", server.uri()),
        expires_at: jiff::Timestamp::UNIX_EPOCH,
        bytes: 3,
        content_type: "application/json".to_owned(),
        sha256: sha256.to_owned(),
    };
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let client = client(&server);
    assert_eq!(client.fetch(&link("x", sha256)).await.unwrap(), b"abc");
    let changed = client.fetch(&link("x", "00")).await.unwrap_err();
    assert!(matches!(changed, Error::ChecksumMismatch), "{changed}");
    let expired = client.fetch(&link("gone", sha256)).await.unwrap_err();
    assert!(matches!(expired, Error::Expired { status: 404 }), "{expired}");
    let requests = server.received_requests().await.unwrap();
    assert!(
        requests
            .iter()
            .all(|request| request.headers.get("authorization").is_none())
    );
}
