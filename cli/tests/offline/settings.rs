//! The selection of the stack, and that a token only goes to its own address.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wiremock::ResponseTemplate;

use crate::world::{Ended, TOKEN, World};

async fn world() -> World {
    let world = World::new().await;
    world.get("/v1/models", json!({ "models": [] })).await;
    let config = format!(
        "default = \"home\"\n[profiles.home]\nurl = \"{0}/home\"\ntoken = \"{TOKEN}\"\n\
         [profiles.work]\nurl = \"{0}/office\"\ntoken_file = \"token\"\n[profiles.bare]\nurl = \"{0}/bare\"\n\
         [profiles.both]\nurl = \"{0}\"\ntoken = \"a\"\ntoken_file = \"b\"\n",
        world.server.uri()
    );
    world.write(".config/ai-mesh/config.toml", config);
    world.write(".config/ai-mesh/token", "of-work\n");
    world
        .mock(
            "GET",
            "/home/v1/models",
            ResponseTemplate::new(200).set_body_json(json!({ "models": [] })),
        )
        .await;
    world
        .mock(
            "GET",
            "/office/v1/models",
            ResponseTemplate::new(200).set_body_json(json!({ "models": [] })),
        )
        .await;
    world
}

/// The path of the last request, and its token.
async fn last_request(world: &World) -> (String, String) {
    let mut requests = world.server.received_requests().await.unwrap_or_default();
    let request = requests.pop().expect("there is a request");
    let token = request.headers["authorization"]
        .to_str()
        .expect("the token is text")
        .to_owned();
    (request.url.path().to_owned(), token)
}

#[tokio::test]
async fn flags_take_precedence_over_the_environment_and_that_over_profiles() {
    let world = world().await;
    let request = |path: &str, token: &str| (path.to_owned(), format!("Bearer {token}"));
    Ended::run(world.bare().arg("models"));
    assert_eq!(
        last_request(&world).await,
        request("/home/v1/models", TOKEN),
        "the file's default"
    );
    Ended::run(world.bare().args(["models"]).env("AI_MESH_PROFILE", "work"));
    assert_eq!(
        last_request(&world).await,
        request("/office/v1/models", "of-work")
    );
    Ended::run(
        world
            .bare()
            .args(["models"])
            .env("AI_MESH_URL", world.server.uri())
            .env("AI_MESH_TOKEN", "env"),
    );
    assert_eq!(last_request(&world).await, request("/v1/models", "env"));
    let mut both = world.bare();
    both.env("AI_MESH_URL", world.server.uri())
        .env("AI_MESH_TOKEN", "env");
    Ended::run(both.args(["models", "--profile", "work"]));
    assert_eq!(
        last_request(&world).await,
        request("/office/v1/models", "of-work"),
        "address and token are both the profile's"
    );
    let url = format!("{}/office", world.server.uri());
    Ended::run(
        world
            .bare()
            .args(["models", "--url", &url, "--token-file", "-"])
            .write_stdin("piped\n"),
    );
    assert_eq!(last_request(&world).await, request("/office/v1/models", "piped"));
}

#[tokio::test]
async fn a_token_never_goes_to_another_address() {
    let world = world().await;
    let elsewhere = Ended::run(world.bare().args(["models", "--url", &world.server.uri()]));
    assert_eq!(
        elsewhere.code,
        Some(2),
        "the profile's token does not belong to that address: {}",
        elsewhere.transcript()
    );
    let mut bare = world.bare();
    let bare = Ended::run(
        bare.args(["models", "--profile", "bare"])
            .env("AI_MESH_TOKEN", "env"),
    );
    assert_eq!(
        bare.code,
        Some(2),
        "the environment's token does not belong to a profile: {}",
        bare.transcript()
    );
    assert!(world.server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_error_for_invalid_settings_does_not_show_the_token() {
    let world = world().await;
    for (arguments, message) in [
        (
            &["models", "--profile", "none"][..],
            "has no profile none: add it, or use one of bare, both, home, work",
        ),
        (&["models", "--profile", "both"], "remove one of them"),
        (
            &[
                "models",
                "--url",
                "ftp://x",
                "--token-file",
                ".config/ai-mesh/token",
            ],
            "is not a valid address",
        ),
        (
            &["models", "--url", "http://x", "--token-file", "absent"],
            "absent: No such file",
        ),
    ] {
        let ended = Ended::run(world.bare().args(arguments));
        assert_eq!(ended.code, Some(2), "{}", ended.transcript());
        assert!(ended.err.contains(message), "{}", ended.transcript());
    }
    for (address, message) in [
        ("x.example", "start it with http:// or https://"),
        ("http://", "is not a valid address"),
        ("http:///x", "is not a valid address"),
        ("http://a b", "is not a valid address"),
        ("http://me:secret@x.example", "the address contains a user name"),
        ("me:secret@x.example", "the address contains a user name"),
        (
            "http://me:secret word@x.example",
            "the address contains a user name",
        ),
        ("http://x.example/?a=b", "end it after the path"),
        ("http://x.example/#part", "end it after the path"),
    ] {
        let ended = world.run(&["models", "--url", address]);
        assert_eq!(ended.code, Some(2), "{address}: {}", ended.transcript());
        assert!(ended.err.contains(message), "{address}: {}", ended.transcript());
        assert!(!ended.err.contains("secret"), "{}", ended.transcript());
    }
    world.write(
        ".config/ai-mesh/config.toml",
        format!("[profiles.a]\nurl = 1\ntoken = {TOKEN}\n"),
    );
    let ended = Ended::run(world.bare().arg("models"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("is invalid at line"), "{}", ended.transcript());
}

#[tokio::test]
async fn doctor_checks_who_can_read_the_file_with_the_token() {
    let world = world().await;
    let folder = world.folder.path().join(".config/ai-mesh");
    for (arguments, holder, other) in [
        (&["doctor"][..], "config.toml", "token"),
        (&["doctor", "--profile", "work"], "token", "config.toml"),
        (
            &["doctor", "--token-file", ".config/ai-mesh/token"],
            "token",
            "config.toml",
        ),
    ] {
        for (mode, is_reported) in [(0o644, true), (0o600, false)] {
            for (file, mode) in [(holder, mode), (other, 0o644)] {
                fs::set_permissions(folder.join(file), fs::Permissions::from_mode(mode)).unwrap();
            }
            let ended = Ended::run(world.bare().args(arguments));
            assert_eq!(
                ended.out.contains("chmod 600"),
                is_reported,
                "{arguments:?}: {}",
                ended.transcript()
            );
            assert_eq!(
                ended.out.contains(&format!("{holder}, and the token in it")),
                is_reported,
                "{}",
                ended.transcript()
            );
        }
    }
}
