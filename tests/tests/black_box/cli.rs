//! The command line against the stack: what people type, and what scripts read.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{ImageFormat, Rgb};
use mesh_task::TaskId;
use mesh_tests::{eventually, pictures};
use serde_json::{Value, json};

/// What boxes are drawn with.
const BOX: Rgb<u8> = Rgb([0, 230, 64]);

/// The program, which is built beside this one.
fn program() -> PathBuf {
    let this = std::env::current_exe().expect("this program lies somewhere");
    let folder = this
        .parent()
        .and_then(Path::parent)
        .expect("in target/PROFILE/deps");
    let program = folder.join("mesh");
    assert!(
        program.exists(),
        "{} is not there: cargo build -p mesh",
        program.display()
    );
    program
}

/// The program, with the stack's address and token from the environment.
fn mesh(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_remove("AI_MESH_PROFILE")
        .stdin(Stdio::null());
    command
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ended {
    ended(&mut mesh(arguments))
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("it can be run");
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("it prints UTF-8"));
    let token = mesh_tests::setting("AI_MESH_TOKEN");
    assert!(!out.contains(&token) && !err.contains(&token), "{out}{err}");
    Ended {
        code: output.status.code(),
        out,
        err,
    }
}

/// What it prints, where all goes well.
fn told(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.out, ended.err);
    ended.out
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
    let task = told(&[
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
    assert_eq!(lines(&told(&["result", id]))[0], task["result"]);
    assert!(told(&["status", id]).contains("POSITIVE with score"));
    let listed = eventually("it is listed", || {
        let listed = told(&["list", "--metadata", &note]);
        listed.contains(id).then_some(listed)
    });
    assert_eq!(listed.lines().count(), 2, "a head and one task: {listed}");
    let history = told(&["inspect", id]);
    for event in ["accepted", "claimed", "completed  load"] {
        assert!(history.contains(event), "{history}");
    }
    let refused = run(&["cancel", id]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("task-is-final"), "{}", refused.err);
}

#[test]
fn a_photo_is_annotated_where_the_face_is_and_held_upright() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let upright = pictures::astronaut();
    // Stored on its side, with the note that says so.
    let stored = pictures::encode(&upright.rotate270(), ImageFormat::Jpeg);
    let photo = folder.path().join("photo.jpg");
    std::fs::write(&photo, pictures::with_orientation(&stored, 6)).expect("a file can be written");
    let copy = folder.path().join("copy.png");
    let [from, to] = [&photo, &copy].map(|path| path.display().to_string());
    let task = told(&[
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
    let face = pictures::Rect::of(&task["result"]["faces"][0]);
    assert!(face.overlap(&pictures::ASTRONAUT_FACE) > 0.5, "{face:?}");

    let drawn = image::open(&copy).expect("the copy is a picture").into_rgb8();
    assert_eq!(drawn.dimensions(), (upright.width(), upright.height()));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies on the picture"
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
    // The same of a task that was submitted before.
    let later = folder.path().join("later.jpg");
    let id = task["id"].as_str().expect("an id is text");
    told(&[
        "result",
        id,
        "--file",
        &from,
        "--annotate",
        &later.display().to_string(),
    ]);
    assert!(later.exists());
}

/// Submits a file of 200 texts and looks at what became of each.
fn two_hundred(name: &str, content: &str, first_line: u64) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("a file can be written");
    let output = folder.path().join("results.jsonl");
    let [file, output] = [file, output].map(|path| path.display().to_string());
    let ended = run(&["batch", &file, "--output", &output, "--in-order", "--size", "90"]);
    assert_eq!(ended.code, Some(1), "one is refused: {}", ended.err);
    assert!(
        ended.err.contains("200 lines: 199 completed, 1 refused"),
        "{}",
        ended.err
    );
    let results = lines(&std::fs::read_to_string(output).expect("the results are there"));
    let of = |result: &Value| result["line"].as_u64();
    assert_eq!(
        results.iter().filter_map(of).collect::<Vec<_>>(),
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

/// Lines of texts, each with the lines' own number: every other one speaks ill, and one is blank.
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
    two_hundred("texts.jsonl", &texts().map(line).collect::<String>(), 1);
}

#[test]
fn two_hundred_texts_of_a_csv_file_come_back_in_order() {
    let line = |text| format!("sentiment,\"{text}\",csv\n");
    let head = "type,text,metadata.from\n".to_owned();
    two_hundred("texts.csv", &(head + &texts().map(line).collect::<String>()), 2);
}

#[test]
fn a_dead_letter_is_listed_shown_and_redriven() {
    // Of a type whose dead letters no other test redrives.
    let poison = [
        "submit",
        "classify",
        "--text",
        "goal",
        "--max-attempts",
        "1",
        "--metadata",
        "fault=transient:1",
    ];
    let id = told(&poison).trim().to_owned();
    let dead = run(&["wait", &id]);
    assert_eq!(dead.code, Some(1), "{}", dead.err);
    assert!(dead.out.contains("failed fault: attempt 1 fails"), "{}", dead.out);
    eventually("it is listed", || {
        let listed = told(&["dead", "list", "--type", "classify", "--all", "--json"]);
        lines(&listed).into_iter().find(|letter| letter["id"] == *id)
    });
    assert!(told(&["dead", "show", &id]).contains("transient"));
    assert_eq!(told(&["dead", "redrive", &id]).trim(), id);
    assert_eq!(run(&["wait", &id]).code, Some(1), "it fails as before");
    let history = told(&["inspect", &id]);
    assert!(history.contains("run 1 of generation 2"), "{history}");
    let completed = told(&["submit", "sentiment", "--text", "fine", "--wait", "--json"]);
    let completed = lines(&completed)[0]["id"].as_str().unwrap_or_default().to_owned();
    let skipped = run(&["dead", "redrive", &completed]);
    assert_eq!(skipped.code, Some(1), "{}", skipped.err);
}

#[test]
fn the_history_of_a_task_that_was_tried_again_shows_each_attempt() {
    let id = told(&[
        "submit",
        "sentiment",
        "--text",
        "fine",
        "--metadata",
        "fault=transient:1",
    ])
    .trim()
    .to_owned();
    told(&["wait", &id]);
    let history = told(&["inspect", &id]);
    let order = [
        "accepted",
        "claimed",
        "transient  fault: attempt 1 fails",
        "claimed",
        "completed  load",
    ];
    let mut rest = history.as_str();
    for event in order {
        let at = rest
            .find(event)
            .unwrap_or_else(|| panic!("no {event:?} in its place: {history}"));
        rest = &rest[at + event.len()..];
    }
}

#[test]
fn a_doctor_finds_the_stack_sound_and_a_wrong_token_wrong() {
    let sound = told(&["doctor"]);
    assert!(sound.lines().all(|line| line.starts_with("ok")), "{sound}");
    assert_eq!(sound.lines().count(), 6, "{sound}");
    let wrong = ended(mesh(&["doctor"]).env("AI_MESH_TOKEN", "wrong"));
    assert_eq!(wrong.code, Some(4), "{}", wrong.out);
    assert!(wrong.out.contains("failed  token"), "{}", wrong.out);
    assert_eq!(ended(mesh(&["list"]).env("AI_MESH_TOKEN", "wrong")).code, Some(4));
}

#[test]
fn a_watch_into_a_pipe_tells_each_change_in_a_line() {
    let mut watch = mesh(&["watch", "--type", "summarize"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut said = BufReader::new(watch.stderr.take().expect("it is piped")).lines();
    assert!(
        said.next()
            .expect("it says so")
            .expect("a line is text")
            .starts_with("watching")
    );
    let id = told(&["submit", "summarize", "--text", "One. Two. Three."])
        .trim()
        .to_owned();
    let mut seen = Vec::new();
    for line in BufReader::new(watch.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("a line is text");
        if line.contains(&id) {
            seen.push(line.clone());
        }
        if line.contains(&id) && line.contains("completed") {
            break;
        }
    }
    watch.kill().and_then(|()| watch.wait()).expect("it can be ended");
    assert!(seen.len() >= 2 && seen[0].contains("pending"), "{seen:?}");
}

#[test]
fn the_stack_s_workers_models_and_counters_are_told() {
    told(&["submit", "sentiment", "--text", "fine", "--wait"]);
    assert!(told(&["workers"]).contains("text-worker"));
    assert!(told(&["models"]).contains("minilm-sentiment"));
    assert!(told(&["stats"]).contains("wait for a worker"));
}
