//! On a terminal: colours, a width to keep to, a live table; and afterwards the terminal as it was.

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

use crate::keeping::api;
use crate::world::{ID, TOKEN, World, ago, task};

/// A terminal of 80 columns, from both sides.
struct Terminal {
    /// What a person has.
    person: File,
    /// What a program has.
    program: File,
}

impl Terminal {
    fn open() -> Self {
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
        }
    }

    fn run(&self, world: &World, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
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

    /// Reads until there is that text; a test without it is ended by the runner.
    fn until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut bytes = [0; 4_096];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let read = self.person.read(&mut bytes).expect("the terminal stays");
            seen.extend_from_slice(&bytes[..read]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// How it treats what is typed: raw, or a line at a time.
    fn modes(&self) -> [u32; 4] {
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
async fn a_watch_is_left_by_q_and_by_ctrl_c_and_gives_the_terminal_back() {
    let world = World::new().await;
    world
        .get("/v1/changes", json!({ "changes": [], "next": "1" }))
        .await;
    let mut fresh = task(ID, "processing");
    fresh["updated_at"] = json!(ago(3));
    world.get("/v1/tasks", json!({ "tasks": [fresh] })).await;
    for key in [&b"q"[..], b"\x03"] {
        let mut terminal = Terminal::open();
        let before = terminal.modes();
        let mut watch = terminal.run(&world, &["watch"], &[]);
        let shown = terminal.until("quits");
        assert!(shown.contains("\x1b[?1049h") && shown.contains(ID), "{shown:?}");
        assert_ne!(terminal.modes(), before, "keys are read one by one");
        terminal.person.write_all(key).unwrap();
        let left = terminal.until("\x1b[?1049l");
        assert!(left.contains("\x1b[?25h"), "the cursor is shown again: {left:?}");
        assert_eq!(watch.wait().unwrap().code(), Some(0));
        assert_eq!(terminal.modes(), before);
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
async fn a_terminal_that_can_t_move_its_cursor_has_a_watch_in_lines() {
    let world = World::new().await;
    let change = json!({ "cursor": "2", "id": ID, "type": "ocr", "status": "completed", "previous_status": "processing",
                         "generation": 1, "attempt": 1, "updated_at": ago(0) });
    world
        .get("/v1/changes", json!({ "changes": [change], "next": "2" }))
        .await;
    let mut terminal = Terminal::open();
    let mut watch = terminal.run(&world, &["watch"], &[("TERM", "dumb")]);
    let shown = terminal.until(ID);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    watch.kill().and_then(|()| watch.wait()).unwrap();
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
