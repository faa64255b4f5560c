//! The terminal while it shows the table. Its state is restored, however the program ends.

use std::io::{self, Stdout};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};
use tokio::sync::mpsc::UnboundedSender;

use super::rows::Rows;
use crate::format;
use crate::screen::replace_controls;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Resized,
}

/// Raw mode and the alternate screen. Dropping it leaves both.
pub(super) struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Stdout>>,
    has_colors: bool,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match opened {
            Ok(inner) => Ok(Self {
                inner,
                has_colors: !is_plain,
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    pub(super) fn draw(&mut self, rows: &Rows) -> io::Result<()> {
        let has_colors = self.has_colors;
        let now = Timestamp::now();
        self.inner
            .draw(|frame| show(frame, rows, now, has_colors))
            .map(|_| ())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Drawing has hidden the cursor.
        let _ = self.inner.show_cursor();
        restore();
    }
}

fn restore() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// Reads keys on a separate thread. It ends with the program, because nothing can interrupt its read.
pub(super) fn listen(sender: UnboundedSender<Key>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let key = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
                    _ => continue,
                },
                Event::Resize(..) => Key::Resized,
                _ => continue,
            };
            if sender.send(key).is_err() {
                break;
            }
        }
    });
}

fn show(frame: &mut Frame<'_>, rows: &Rows, now: Timestamp, has_colors: bool) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let counts = ["pending", "processing", "completed", "failed", "cancelled"];
    let counts = counts.map(|status| format!("{status} {}", rows.counts.get(status).copied().unwrap_or(0)));
    let summary = format!("in {}: {}", format::elapsed(rows.since, now), counts.join("  "));
    frame.render_widget(Line::from(summary), header);
    let paint = |style: crate::screen::Style| {
        let plain = Style::new();
        match style {
            _ if !has_colors => plain,
            crate::screen::Style::Good => plain.fg(Color::Green),
            crate::screen::Style::Bad => plain.fg(Color::Red),
            crate::screen::Style::Busy => plain.fg(Color::Yellow),
            _ => plain,
        }
    };
    let latest = rows.latest();
    let shown = latest.iter().take(usize::from(body.height)).map(|row| {
        Row::new([
            Cell::from(row.id.to_string()),
            Cell::from(row.task_type.as_str()),
            Cell::from(row.status.as_str()).style(paint(format::status_style(row.status))),
            Cell::from(row.attempt.to_string()),
            Cell::from(format::age(row.updated_at, now)),
        ])
    });
    let widths = [36, 15, 10, 3, 7].map(Constraint::Length);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let table = Table::new(shown, widths)
        .column_spacing(2)
        .header(Row::new(["ID", "TYPE", "STATUS", "TRY", "SINCE"]).style(bold));
    frame.render_widget(table, body);
    let message = rows
        .error
        .as_deref()
        .map_or_else(|| "q quits".to_owned(), replace_controls);
    frame.render_widget(Line::from(message), footer);
}

#[cfg(test)]
mod tests {
    use mesh_client::{ChangeList, ChangeStatus, ChangeView};
    use mesh_task::{Status, TaskId, TaskType};
    use ratatui::backend::TestBackend;

    use super::*;

    #[test]
    fn the_table_shows_each_task_and_fits_a_small_terminal() {
        let mut rows = Rows::new(Vec::new(), String::new(), None, Timestamp::UNIX_EPOCH);
        let id = TaskId::generate();
        rows.apply(ChangeList {
            changes: vec![ChangeView {
                cursor: "1".to_owned(),
                id,
                task_type: TaskType::Sentiment,
                status: ChangeStatus::Task(Status::Completed),
                previous_status: None,
                generation: 1,
                attempt: 1,
                updated_at: Timestamp::UNIX_EPOCH,
            }],
            next: String::new(),
            links: None,
        });
        for (width, height) in [(80, 6), (20, 3)] {
            let mut terminal = ratatui::Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal
                .draw(|frame| show(frame, &rows, Timestamp::UNIX_EPOCH, true))
                .unwrap();
            let text = terminal.backend().to_string();
            assert!(text.contains("in 0 ms: pending 0"), "{text}");
            if width == 80 {
                assert!(
                    text.contains(&format!("{id}  sentiment        completed   1    0 s")),
                    "{text}"
                );
            }
        }
    }
}
