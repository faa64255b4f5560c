//! Output on a terminal: colors, the width, and no control characters from the API.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::fake_api::api;
use crate::world::{ID, TOKEN, World, accepted_task, completed, task};

/// A pseudoterminal of 80 columns.
pub(crate) struct Terminal {
    /// The user's side.
    pub(crate) user: File,
    /// The program's side.
    program: File,
    /// Output that was read after the text that a test looked for.
    rest: Vec<u8>,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudoterminal");
        grantpt(&user).expect("the pseudoterminal is this process's");
        unlockpt(&user).expect("the pseudoterminal is this process's");
        let name = ptsname(&user, Vec::new()).expect("the pseudoterminal has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let program = open(OsStr::from_bytes(name.as_bytes()), flags, Mode::empty())
            .expect("the pseudoterminal can be opened");
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size).expect("the size can be set");
        Self {
            user: user.into(),
            program: program.into(),
            rest: Vec::new(),
        }
    }

    pub(crate) fn run(&self, world: &World, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
        let side = || self.program.try_clone().expect("the file can be shared");
        Command::new(env!("CARGO_BIN_EXE_mesh"))
            .args(arguments)
            .current_dir(world.folder.path())
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(settings.iter().copied())
            .env("AI_MESH_URL", world.server.uri())
            .env("AI_MESH_TOKEN", TOKEN)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("the program runs")
    }

    /// Reads the output up to that text. Without it, the test runner's timeout ends the test.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut bytes = [0; 4_096];
        loop {
            let mut windows = self.rest.windows(text.len());
            if let Some(at) = windows.position(|window| window == text.as_bytes()) {
                let rest = self.rest.split_off(at + text.len());
                let seen = std::mem::replace(&mut self.rest, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let read = self.user.read(&mut bytes).expect("the terminal is open");
            self.rest.extend_from_slice(&bytes[..read]);
        }
    }

    /// The terminal's modes, which differ between raw mode and line by line.
    pub(crate) fn modes(&self) -> [u32; 4] {
        let Termios {
            input_modes,
            output_modes,
            control_modes,
            local_modes,
            ..
        } = tcgetattr(self.program.as_fd()).expect("a terminal");
        [
            input_modes.bits(),
            output_modes.bits(),
            control_modes.bits(),
            local_modes.bits(),
        ]
    }
}

#[tokio::test]
async fn a_table_fits_its_terminal_and_no_color_is_respected() {
    let world = World::new().await;
    let mut long = task(ID, "completed");
    long["metadata"] = json!({ "note": "long ".repeat(30) });
    world.get("/v1/tasks", json!({ "tasks": [long] })).await;
    let mut terminal = Terminal::open();
    assert!(terminal.run(&world, &["list"], &[]).wait().unwrap().success());
    let colored = terminal.until("…");
    assert!(colored.contains("\x1b[32mcompleted\x1b[0m"), "{colored:?}");
    assert!(
        terminal
            .run(&world, &["list"], &[("NO_COLOR", "1")])
            .wait()
            .unwrap()
            .success()
    );
    let plain = terminal.until("…");
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let widest = plain
        .trim()
        .lines()
        .map(|line| line.trim_end().chars().count())
        .max();
    assert_eq!(widest, Some(80), "{plain}");
}

#[tokio::test]
async fn results_on_a_terminal_come_without_a_progress_bar() {
    let world = World::new().await;
    api(&world).await;
    world.write("b.jsonl", "{\"type\":\"sentiment\",\"input\":{\"text\":\"a\"}}\n");
    let mut terminal = Terminal::open();
    let mut batch = terminal.run(&world, &["batch", "b.jsonl", "-o", "-"], &[]);
    let shown = terminal.until("1 line: 1 completed");
    assert!(
        shown.contains("\"POSITIVE\"") && !shown.contains('\x1b'),
        "{shown:?}"
    );
    assert!(batch.wait().unwrap().success());
}

#[tokio::test]
async fn a_prompt_says_that_the_program_reads_from_the_terminal() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let mut terminal = Terminal::open();
    let mut submit = terminal.run(&world, &["submit", "sentiment", "-"], &[]);
    terminal.until("press Ctrl-D on an empty line to end");
    terminal.user.write_all(b"fine\n\x04").unwrap();
    terminal.until(ID);
    assert!(submit.wait().unwrap().success());
    assert_eq!(world.sent("/v1/tasks").await[0]["input"]["text"], "fine\n");
}

#[tokio::test]
async fn a_result_cannot_move_the_terminal_s_cursor() {
    let world = World::new().await;
    let mut task = completed(ID);
    task["type"] = json!("summarize");
    let text = "fine\u{9b}2J\u{7f}\u{1b}[2J é";
    task["result"] = json!({ "summary": text, "sentences": [text] });
    task["metadata"] = json!({ "note": text });
    world.get(&format!("/v1/tasks/{ID}"), task).await;
    let accepted = json!({ "status": 202, "task": accepted_task(ID, "summarize") });
    let accepted = ResponseTemplate::new(202).set_body_json(json!({ "results": [accepted] }));
    world.mock("POST", "/v1/tasks/batch", accepted).await;
    world.write("b.jsonl", "{\"type\":\"summarize\",\"input\":{\"text\":\"a\"}}\n");
    for arguments in [
        &["result", ID][..],
        &["result", ID, "--json"],
        &["status", ID, "--json"],
        &["batch", "b.jsonl", "-o", "-"],
        &["batch", "b.jsonl", "-o", "-", "--in-order"],
    ] {
        let mut terminal = Terminal::open();
        let mut shown = terminal.run(&world, arguments, &[]);
        let text = terminal.until("é");
        assert!(shown.wait().unwrap().success());
        assert!(text.contains("fine\\u009b2J\\u007f\\u001b[2J"), "{text:?}");
        let is_control = |c: char| c.is_control() && !matches!(c, '\r' | '\n');
        assert!(!text.contains(is_control), "{text:?}");
    }
    let piped = world.run(&["result", ID]);
    assert!(piped.out.contains('\u{9b}'), "a pipe gets the result unchanged");
}
