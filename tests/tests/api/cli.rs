//! The command line: its commands, and the output that scripts read.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{ImageFormat, Rgb};
use mesh_task::TaskId;
use mesh_tests::{eventually, pictures};
use serde_json::{Value, json};

/// The color of the boxes around faces.
const BOX: Rgb<u8> = Rgb([0, 230, 64]);

/// The path of the program, which is in the same target folder as this test.
fn program() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let folder = this
        .parent()
        .and_then(Path::parent)
        .expect("in target/PROFILE/deps");
    let program = folder.join("mesh");
    assert!(
        program.exists(),
        "{} is missing: run cargo build -p mesh",
        program.display()
    );
    program
}

/// The program with arguments. It has the URL and the token of the home under test from the environment.
fn mesh(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_remove("AI_MESH_PROFILE")
        .stdin(Stdio::null());
    command
}

struct Output {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Output {
    output_of(&mut mesh(arguments))
}

fn output_of(command: &mut Command) -> Output {
    let output = command.output().expect("the program can be run");
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("the output is UTF-8"));
    let token = mesh_tests::setting("AI_MESH_TOKEN");
    assert!(!out.contains(&token) && !err.contains(&token), "{out}{err}");
    Output {
        code: output.status.code(),
        out,
        err,
    }
}

/// The standard output of a command that must succeed.
#[track_caller]
fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(
        output.code,
        Some(0),
        "{arguments:?}: {}{}",
        output.out,
        output.err
    );
    output.out
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

#[test]
fn a_text_is_submitted_waited_for_listed_and_inspected() {
    let order = TaskId::generate().to_string();
    let note = format!("order={order}");
    let task = stdout(&[
        "submit",
        "sentiment",
        "--text",
        "Splendid.",
        "--metadata",
        &note,
        "--wait",
        "--json",
    ]);
    let task = &lines(&task)[0];
    assert_eq!(
        (&task["status"], &task["result"]["label"]),
        (&json!("completed"), &json!("POSITIVE"))
    );
    let id = task["id"].as_str().expect("an id is text");
    assert_eq!(lines(&stdout(&["result", id]))[0], task["result"]);
    assert!(stdout(&["status", id]).contains("POSITIVE with score"));
    let listed = eventually("the task is listed", || {
        let listed = stdout(&["list", "--metadata", &note]);
        listed.contains(id).then_some(listed)
    });
    assert_eq!(listed.lines().count(), 2, "a header and one task: {listed}");
    let history = stdout(&["inspect", id]);
    for event in ["accepted", "claimed", "completed  load"] {
        assert!(history.contains(event), "{history}");
    }
    let refused = run(&["cancel", id]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("task-is-final"), "{}", refused.err);
}

#[test]
fn an_annotated_photo_is_upright_and_has_a_box_around_the_face() {
    let folder = tempfile::tempdir().expect("a folder can be created");
    let upright = pictures::astronaut();
    // Stored on its side, with an EXIF orientation.
    let stored = pictures::encode(&upright.rotate270(), ImageFormat::Jpeg);
    let photo = folder.path().join("photo.jpg");
    std::fs::write(&photo, pictures::with_orientation(&stored, 6)).expect("a file can be written");
    let copy = folder.path().join("copy.png");
    let [from, to] = [&photo, &copy].map(|path| path.display().to_string());
    let task = stdout(&[
        "submit",
        "face_detection",
        "--file",
        &from,
        "--annotate",
        &to,
        "--json",
    ]);
    let task = &lines(&task)[0];
    assert_eq!(task["result"]["count"], 1, "{task}");
    let face = pictures::Rect::from_face(&task["result"]["faces"][0]);
    assert!(face.overlap(&pictures::ASTRONAUT_FACE) > 0.5, "{face:?}");

    let drawn = image::open(&copy).expect("the copy is an image").into_rgb8();
    assert_eq!(drawn.dimensions(), (upright.width(), upright.height()));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the box is on the picture"
    )]
    let at = |x: f64, y: f64| *drawn.get_pixel(x.round() as u32, y.round() as u32);
    let (middle_x, middle_y) = (face.x + face.width / 2.0, face.y + face.height / 2.0);
    let (right, bottom) = (face.x + face.width - 1.0, face.y + face.height - 1.0);
    for (x, y) in [
        (face.x, face.y),
        (middle_x, face.y),
        (middle_x, bottom),
        (face.x, middle_y),
        (right, middle_y),
    ] {
        assert_eq!(at(x, y), BOX, "at {x}, {y} of {face:?}");
    }
    assert_ne!(at(middle_x, face.y - 3.0), BOX);
    // The same for a task that was submitted before.
    let later = folder.path().join("later.jpg");
    let id = task["id"].as_str().expect("an id is text");
    stdout(&[
        "result",
        id,
        "--file",
        &from,
        "--annotate",
        &later.display().to_string(),
    ]);
    assert!(later.exists());
}

/// Submits a file of 200 texts and asserts the result of each.
fn assert_200_results(name: &str, content: &str, first_line: u64) {
    let folder = tempfile::tempdir().expect("a folder can be created");
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("a file can be written");
    let output = folder.path().join("results.jsonl");
    let [file, output] = [file, output].map(|path| path.display().to_string());
    let batch = run(&["batch", &file, "--output", &output, "--in-order", "--size", "90"]);
    assert_eq!(batch.code, Some(1), "one text is refused: {}", batch.err);
    assert!(
        batch.err.contains("200 lines: 199 completed, 1 refused"),
        "{}",
        batch.err
    );
    let results = lines(&std::fs::read_to_string(output).expect("the file has the results"));
    let line = |result: &Value| result["line"].as_u64();
    assert_eq!(
        results.iter().filter_map(line).collect::<Vec<_>>(),
        (first_line..first_line + 200).collect::<Vec<_>>()
    );
    for (n, result) in results.iter().enumerate() {
        match n {
            77 => assert!(result["problem"]["detail"].is_string(), "{result}"),
            _ if n % 2 == 0 => assert_eq!(result["result"]["label"], "POSITIVE", "{result}"),
            _ => assert_eq!(result["result"]["label"], "NEGATIVE", "{result}"),
        }
    }
}

/// 200 texts, each with its own number: positive and negative ones in turn, and a blank one.
fn texts() -> impl Iterator<Item = String> {
    let run = TaskId::generate();
    (0..200).map(move |n| match n {
        77 => " ".to_owned(),
        _ if n % 2 == 0 => format!("What a lovely and delightful day, number {n} of {run}."),
        _ => format!("This was awful, boring and a waste of time, number {n} of {run}."),
    })
}

#[test]
fn two_hundred_texts_of_a_jsonl_file_come_back_in_order() {
    let line = |text| json!({ "type": "sentiment", "input": { "text": text } }).to_string() + "\n";
    assert_200_results("texts.jsonl", &texts().map(line).collect::<String>(), 1);
}

#[test]
fn two_hundred_texts_of_a_csv_file_come_back_in_order() {
    let line = |text| format!("sentiment,\"{text}\",csv\n");
    let head = "type,text,metadata.from\n".to_owned();
    assert_200_results("texts.csv", &(head + &texts().map(line).collect::<String>()), 2);
}

#[test]
fn a_dead_letter_is_listed_shown_and_redriven() {
    // No other test redrives dead letters of this type.
    let failing = [
        "submit",
        "classify",
        "--text",
        "goal",
        "--max-attempts",
        "1",
        "--metadata",
        "fault=transient:1",
    ];
    let id = stdout(&failing).trim().to_owned();
    let dead = run(&["wait", &id]);
    assert_eq!(dead.code, Some(1), "{}", dead.err);
    assert!(
        dead.out
            .contains("failed fault: an injected fault failed attempt 1"),
        "{}",
        dead.out
    );
    eventually("the dead letter is listed", || {
        let listed = stdout(&["dead-letters", "list", "--type", "classify", "--all", "--json"]);
        lines(&listed).into_iter().find(|letter| letter["id"] == *id)
    });
    assert!(stdout(&["dead-letters", "show", &id]).contains("transient"));
    assert_eq!(stdout(&["dead-letters", "redrive", &id]).trim(), id);
    assert_eq!(run(&["wait", &id]).code, Some(1), "the task fails again");
    let history = stdout(&["inspect", &id]);
    assert!(history.contains("run 1 of generation 2"), "{history}");
    let completed = stdout(&["submit", "sentiment", "--text", "fine", "--wait", "--json"]);
    let completed = lines(&completed)[0]["id"].as_str().unwrap_or_default().to_owned();
    // The command's earlier name is an alias.
    let skipped = run(&["dead", "redrive", &completed]);
    assert_eq!(skipped.code, Some(1), "{}", skipped.err);

    assert_eq!(stdout(&["retry", &id]).trim(), format!("{id} pending"));
    assert_eq!(run(&["wait", &id]).code, Some(1), "the task fails once more");
    let history = stdout(&["inspect", &id]);
    assert!(history.contains("run 1 of generation 3"), "{history}");
}

#[test]
fn inspect_shows_each_attempt_of_a_retried_task() {
    let id = stdout(&[
        "submit",
        "sentiment",
        "--text",
        "fine",
        "--metadata",
        "fault=transient:1",
    ])
    .trim()
    .to_owned();
    stdout(&["wait", &id]);
    let history = stdout(&["inspect", &id]);
    let order = [
        "accepted",
        "claimed",
        "transient  fault: an injected fault failed attempt 1",
        "claimed",
        "completed  load",
    ];
    let mut rest = history.as_str();
    for event in order {
        let at = rest
            .find(event)
            .unwrap_or_else(|| panic!("{event:?} is missing or out of order: {history}"));
        rest = &rest[at + event.len()..];
    }
}

#[test]
fn doctor_passes_on_the_stack_and_fails_with_a_wrong_token() {
    let passed = stdout(&["doctor"]);
    assert!(passed.lines().all(|line| line.starts_with("ok")), "{passed}");
    assert_eq!(passed.lines().count(), 6, "{passed}");
    let failed = output_of(mesh(&["doctor"]).env("AI_MESH_TOKEN", "wrong"));
    assert_eq!(failed.code, Some(4), "{}", failed.out);
    assert!(failed.out.contains("failed  token"), "{}", failed.out);
    assert_eq!(
        output_of(mesh(&["list"]).env("AI_MESH_TOKEN", "wrong")).code,
        Some(4)
    );
}

#[test]
fn watch_into_a_pipe_prints_one_line_per_change() {
    let mut watch = mesh(&["watch", "--type", "summarize"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    let mut messages = BufReader::new(watch.stderr.take().expect("stderr is piped")).lines();
    assert!(
        messages
            .next()
            .expect("there is a message")
            .expect("a line is text")
            .starts_with("watching")
    );
    let id = stdout(&["submit", "summarize", "--text", "One. Two. Three."])
        .trim()
        .to_owned();
    let mut seen = Vec::new();
    for line in BufReader::new(watch.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("a line is text");
        if line.contains(&id) {
            seen.push(line.clone());
        }
        if line.contains(&id) && line.contains("completed") {
            break;
        }
    }
    watch
        .kill()
        .and_then(|()| watch.wait())
        .expect("the program can be killed");
    assert!(seen.len() >= 2 && seen[0].contains("pending"), "{seen:?}");
}

#[test]
fn workers_models_and_stats_are_printed() {
    stdout(&["submit", "sentiment", "--text", "fine", "--wait"]);
    assert!(stdout(&["workers"]).contains("text-worker"));
    assert!(stdout(&["models"]).contains("minilm-sentiment"));
    assert!(stdout(&["stats"]).contains("wait for a worker"));
}
