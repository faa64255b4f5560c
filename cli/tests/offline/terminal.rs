//! On a terminal: colours, a width to keep to, and nothing of others that would move its cursor.

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

use crate::keeping::api;
use crate::world::{ID, TOKEN, World, completed, task};

/// A terminal of 80 columns, from both sides.
pub(crate) struct Terminal {
    /// What a person has.
    pub(crate) person: File,
    /// What a program has.
    program: File,
    /// Read, and behind what was looked for.
    rest: Vec<u8>,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let name = ptsname(&person, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let program =
            open(OsStr::from_bytes(name.as_bytes()), flags, Mode::empty()).expect("it can be opened");
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size).expect("it has a size");
        Self {
            person: person.into(),
            program: program.into(),
            rest: Vec::new(),
        }
    }

    pub(crate) fn run(&self, world: &World, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
        let side = || self.program.try_clone().expect("it can be shared");
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
            .expect("it can be run")
    }

    /// Reads up to that text; a test without it is ended by the runner.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut bytes = [0; 4_096];
        loop {
            let mut windows = self.rest.windows(text.len());
            if let Some(at) = windows.position(|window| window == text.as_bytes()) {
                let rest = self.rest.split_off(at + text.len());
                let seen = std::mem::replace(&mut self.rest, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let read = self.person.read(&mut bytes).expect("the terminal stays");
            self.rest.extend_from_slice(&bytes[..read]);
        }
    }

    /// How it treats what is typed: raw, or a line at a time.
    pub(crate) fn modes(&self) -> [u32; 4] {
        let Termios {
            input_modes,
            output_modes,
            control_modes,
            local_modes,
            ..
        } = tcgetattr(self.program.as_fd()).expect("it is a terminal");
        [
            input_modes.bits(),
            output_modes.bits(),
            control_modes.bits(),
            local_modes.bits(),
        ]
    }
}

#[tokio::test]
async fn a_table_fits_its_terminal_and_no_color_is_honoured() {
    let world = World::new().await;
    let mut long = task(ID, "completed");
    long["metadata"] = json!({ "note": "long ".repeat(30) });
    world.get("/v1/tasks", json!({ "tasks": [long] })).await;
    let mut terminal = Terminal::open();
    assert!(terminal.run(&world, &["list"], &[]).wait().unwrap().success());
    let coloured = terminal.until("…");
    assert!(coloured.contains("\x1b[32mcompleted\x1b[0m"), "{coloured:?}");
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
async fn results_on_a_terminal_have_no_bar_among_them() {
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
async fn a_person_is_told_that_typing_is_waited_for() {
    let world = World::new().await;
    world.accept(ID, "sentiment").await;
    let mut terminal = Terminal::open();
    let mut submit = terminal.run(&world, &["submit", "sentiment", "-"], &[]);
    terminal.until("Ctrl-D on a line of its own ends it");
    terminal.person.write_all(b"fine\n\x04").unwrap();
    terminal.until(ID);
    assert!(submit.wait().unwrap().success());
    assert_eq!(world.sent("/v1/tasks").await[0]["input"]["text"], "fine\n");
}

#[tokio::test]
async fn a_result_can_t_move_a_terminal_s_cursor() {
    let world = World::new().await;
    let mut task = completed(ID);
    task["type"] = json!("summarize");
    let text = "fine\u{9b}2J\u{7f}\u{1b}[2J é";
    task["result"] = json!({ "summary": text, "sentences": [text] });
    task["metadata"] = json!({ "note": text });
    world.get(&format!("/v1/tasks/{ID}"), task).await;
    let accepted = json!({ "status": 202, "task": { "id": ID, "type": "summarize", "status": "pending" } });
    let accepted = ResponseTemplate::new(202).set_body_json(json!({ "results": [accepted] }));
    world.answer("POST", "/v1/tasks/batch", accepted).await;
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
        let is_unclean = |c: char| c.is_control() && !matches!(c, '\r' | '\n');
        assert!(!text.contains(is_unclean), "{text:?}");
    }
    let piped = world.run(&["result", ID]);
    assert!(piped.out.contains('\u{9b}'), "what nobody looks at is as it came");
}
