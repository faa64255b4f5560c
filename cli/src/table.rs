//! Tables. Each column is as wide as its widest cell, and a table fits its terminal.

use std::io;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::screen::{Screen, Style, replace_controls};

/// The columns of space between two cells.
const GAP: usize = 2;
/// A column is not narrowed below this.
const MIN_WIDTH: usize = 6;

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

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
            text: replace_controls(&text),
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
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self {
            header,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// Prints the table. On a terminal, cuts it to the terminal's width from the last column on.
    pub(crate) fn print(&self, screen: &Screen) -> io::Result<()> {
        let widths = self.widths(screen.width());
        let header = self.header.map(|name| Cell::styled(Style::Bold, name));
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let text = truncate(&cell.text, width);
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

    fn widths(&self, max: Option<usize>) -> [usize; N] {
        let mut widths = self.header.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(max) = max else { return widths };
        let total = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
        let mut excess = total.saturating_sub(max);
        for (column, width) in widths.iter_mut().enumerate().rev() {
            let mut cut = excess.min(width.saturating_sub(MIN_WIDTH));
            // Rather than keep a few letters of the last column, hide it and keep more of the others.
            if column + 1 == N && cut < excess {
                cut = *width;
            }
            *width -= cut;
            excess = excess.saturating_sub(cut);
        }
        widths
    }
}

/// Cuts the text to at most `width` columns, with an ellipsis at the end.
pub(crate) fn truncate(text: &str, width: usize) -> String {
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
    fn a_table_is_not_wider_than_its_terminal_and_is_cut_from_the_right() {
        let mut table = Table::new(["ID", "NOTE"]);
        table.row(["0123456789".into(), "a note that is long".into()]);
        assert_eq!(table.widths(None), [10, 19]);
        assert_eq!(table.widths(Some(40)), [10, 19]);
        assert_eq!(table.widths(Some(20)), [10, 8]);
        assert_eq!(table.widths(Some(16)), [10, 0], "the last column is hidden");
        assert_eq!(table.widths(Some(8)), [6, 0]);
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(truncate("grün", 4), "grün");
        assert_eq!(truncate("grüner", 4), "grü…");
        assert_eq!(truncate("日本語", 5), "日本…");
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("a", 0), "");
    }

    #[test]
    fn a_cell_has_no_control_characters() {
        assert_eq!(Cell::from("a\x1b[31mb\nc").text, "a [31mb c");
    }
}
