//! Tables: columns as wide as what they hold, and on a terminal no wider than that.

use std::io;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::screen::{Screen, Style, clean};

/// Between columns.
const GAP: usize = 2;
/// What is left of a column that gives way.
const LEAST: usize = 6;

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

/// A text and how it is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self {
            style,
            ..Self::from(text.into())
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text: clean(&text),
            style: Style::Plain,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(head: [&'static str; N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// Prints it, cut to the terminal where there is one: the last column gives way first.
    pub(crate) fn print(&self, screen: &Screen) -> io::Result<()> {
        let widths = self.widths(screen.width());
        let head = self.head.map(|name| Cell::styled(Style::Bold, name));
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let text = cut(&cell.text, width);
                let gap = width.saturating_sub(text.width()) + GAP;
                line.push_str(&screen.paint(cell.style, &text));
                if column + 1 < N {
                    line.extend(std::iter::repeat_n(' ', gap));
                }
            }
            screen.line(line.trim_end())?;
        }
        Ok(())
    }

    fn widths(&self, most: Option<usize>) -> [usize; N] {
        let mut widths = self.head.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(most) = most else { return widths };
        let all = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
        let mut excess = all.saturating_sub(most);
        for (column, width) in widths.iter_mut().enumerate().rev() {
            let mut given = excess.min(width.saturating_sub(LEAST));
            // A word or two of the last column say less than the whole of the others.
            if column + 1 == N && given < excess {
                given = *width;
            }
            *width -= given;
            excess = excess.saturating_sub(given);
        }
        widths
    }
}

/// The text in at most so many columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_no_wider_than_its_terminal_and_gives_way_from_the_right() {
        let mut table = Table::new(["ID", "NOTE"]);
        table.row(["0123456789".into(), "a note that is long".into()]);
        assert_eq!(table.widths(None), [10, 19]);
        assert_eq!(table.widths(Some(40)), [10, 19]);
        assert_eq!(table.widths(Some(20)), [10, 8]);
        assert_eq!(table.widths(Some(16)), [10, 0], "it goes as a whole");
        assert_eq!(table.widths(Some(8)), [6, 0]);
    }

    #[test]
    fn a_text_is_cut_by_columns_not_by_bytes() {
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("grüner", 4), "grü…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("a", 0), "");
    }

    #[test]
    fn what_would_steer_a_terminal_does_not_reach_it() {
        assert_eq!(Cell::from("a\x1b[31mb\nc").text, "a [31mb c");
    }
}
