//! Which stack it speaks to, and that a token goes nowhere else.

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
        .answer(
            "GET",
            "/home/v1/models",
            ResponseTemplate::new(200).set_body_json(json!({ "models": [] })),
        )
        .await;
    world
        .answer(
            "GET",
            "/office/v1/models",
            ResponseTemplate::new(200).set_body_json(json!({ "models": [] })),
        )
        .await;
    world
}

/// Where the last request went, and under which token.
async fn asked(world: &World) -> (String, String) {
    let mut requests = world.server.received_requests().await.unwrap_or_default();
    let request = requests.pop().expect("it asked");
    let token = request.headers["authorization"]
        .to_str()
        .expect("a token is text")
        .to_owned();
    (request.url.path().to_owned(), token)
}

#[tokio::test]
async fn flags_come_before_the_environment_and_that_before_profiles() {
    let world = world().await;
    let of = |path: &str, token: &str| (path.to_owned(), format!("Bearer {token}"));
    Ended::of(world.bare().arg("models"));
    assert_eq!(
        asked(&world).await,
        of("/home/v1/models", TOKEN),
        "the file's default"
    );
    Ended::of(world.bare().args(["models"]).env("AI_MESH_PROFILE", "work"));
    assert_eq!(asked(&world).await, of("/office/v1/models", "of-work"));
    Ended::of(
        world
            .bare()
            .args(["models"])
            .env("AI_MESH_URL", world.server.uri())
            .env("AI_MESH_TOKEN", "env"),
    );
    assert_eq!(asked(&world).await, of("/v1/models", "env"));
    let mut both = world.bare();
    both.env("AI_MESH_URL", world.server.uri())
        .env("AI_MESH_TOKEN", "env");
    Ended::of(both.args(["models", "--profile", "work"]));
    assert_eq!(
        asked(&world).await,
        of("/office/v1/models", "of-work"),
        "neither is mixed"
    );
    let url = format!("{}/office", world.server.uri());
    Ended::of(
        world
            .bare()
            .args(["models", "--url", &url, "--token-file", "-"])
            .write_stdin("piped\n"),
    );
    assert_eq!(asked(&world).await, of("/office/v1/models", "piped"));
}

#[tokio::test]
async fn a_token_never_follows_to_another_address() {
    let world = world().await;
    let elsewhere = Ended::of(world.bare().args(["models", "--url", &world.server.uri()]));
    assert_eq!(
        elsewhere.code,
        Some(2),
        "the profile's token is not for that address: {}",
        elsewhere.told()
    );
    let mut bare = world.bare();
    let bare = Ended::of(
        bare.args(["models", "--profile", "bare"])
            .env("AI_MESH_TOKEN", "env"),
    );
    assert_eq!(
        bare.code,
        Some(2),
        "nor the environment's for a profile: {}",
        bare.told()
    );
    assert!(world.server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn settings_that_can_t_be_used_say_so_without_telling_the_token() {
    let world = world().await;
    for (arguments, told) in [
        (
            &["models", "--profile", "none"][..],
            "has no profile none; it has: bare, both, home, work",
        ),
        (&["models", "--profile", "both"], "keep one of them"),
        (
            &[
                "models",
                "--url",
                "ftp://x",
                "--token-file",
                ".config/ai-mesh/token",
            ],
            "is no address",
        ),
        (
            &["models", "--url", "http://x", "--token-file", "absent"],
            "absent: No such file",
        ),
    ] {
        let ended = Ended::of(world.bare().args(arguments));
        assert_eq!(ended.code, Some(2), "{}", ended.told());
        assert!(ended.err.contains(told), "{}", ended.told());
    }
    for (address, told) in [
        ("x.example", "it begins with http:// or https://"),
        ("http://", "is no address"),
        ("http:///x", "is no address"),
        ("http://a b", "is no address"),
        ("http://me:secret@x.example", "the address names a user"),
        ("me:secret@x.example", "the address names a user"),
        ("http://me:secret word@x.example", "the address names a user"),
        ("http://x.example/?a=b", "nothing may follow its path"),
        ("http://x.example/#part", "nothing may follow its path"),
    ] {
        let ended = world.run(&["models", "--url", address]);
        assert_eq!(ended.code, Some(2), "{address}: {}", ended.told());
        assert!(ended.err.contains(told), "{address}: {}", ended.told());
        assert!(!ended.err.contains("secret"), "{}", ended.told());
    }
    world.write(
        ".config/ai-mesh/config.toml",
        format!("[profiles.a]\nurl = 1\ntoken = {TOKEN}\n"),
    );
    let ended = Ended::of(world.bare().arg("models"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("can't be read at line"), "{}", ended.told());
}

#[tokio::test]
async fn a_doctor_minds_who_can_read_the_file_that_the_token_came_from() {
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
        for (mode, is_told) in [(0o644, true), (0o600, false)] {
            for (file, mode) in [(holder, mode), (other, 0o644)] {
                fs::set_permissions(folder.join(file), fs::Permissions::from_mode(mode)).unwrap();
            }
            let ended = Ended::of(world.bare().args(arguments));
            assert_eq!(
                ended.out.contains("chmod 600"),
                is_told,
                "{arguments:?}: {}",
                ended.told()
            );
            assert_eq!(
                ended.out.contains(&format!("{holder}, and the token in it")),
                is_told,
                "{}",
                ended.told()
            );
        }
    }
}
