//! Puts lines into reading order: columns from left to right, and in each column lines from top to bottom.

use super::quad::{Axes, Quad};
use super::recognize::Reading;
use crate::geometry::Point;

/// Fragments of a line with a smaller gap between them, in line heights, are joined.
const MAX_GAP: f32 = 1.5;
/// The minimum width of a gutter between columns, in line heights.
const MIN_GUTTER: f32 = 0.7;
/// The minimum of the median length of a column's lines, in line heights. Shorter lines are the cells of a table, which is
/// read row by row.
const MIN_COLUMN_WIDTH: f32 = 7.0;
/// The minimum number of lines in a column.
const MIN_COLUMN_LINES: usize = 3;
/// The maximum share of lines that cross a gutter: headings, and lines above and below the columns.
const MAX_CROSSING: f32 = 0.25;

/// A line that was read, with its place.
#[derive(Clone, Debug)]
pub(super) struct PlacedLine {
    pub(super) quad: Quad,
    pub(super) reading: Reading,
}

/// A line's extent along and across the direction of the page's text.
struct Block {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
    line: PlacedLine,
}

impl Block {
    fn height(&self) -> f32 {
        self.bottom - self.top
    }

    fn width(&self) -> f32 {
        self.right - self.left
    }

    fn middle(&self) -> f32 {
        (self.top + self.bottom) / 2.0
    }
}

/// Puts lines into reading order, and joins the fragments of a line.
pub(super) fn arrange(lines: Vec<PlacedLine>) -> Vec<PlacedLine> {
    let Some(axes) = direction(&lines) else {
        return lines;
    };
    let blocks = lines.into_iter().map(|line| {
        let extent = axes.extent(&line.quad.0);
        Block {
            left: extent.along.0,
            right: extent.along.1,
            top: extent.across.0,
            bottom: extent.across.1,
            line,
        }
    });
    let mut arranged = Vec::new();
    order(blocks.collect(), &mut arranged);
    arranged
}

/// The direction of the page's text: the mean of its lines, weighted by length.
fn direction(lines: &[PlacedLine]) -> Option<Axes> {
    let sum = lines.iter().fold(Point { x: 0.0, y: 0.0 }, |sum, line| {
        let direction = line.quad.direction();
        Point {
            x: sum.x + direction.x,
            y: sum.y + direction.y,
        }
    });
    Axes::from_direction(sum)
}

fn order(blocks: Vec<Block>, arranged: &mut Vec<PlacedLine>) {
    let Some(gutter) = gutter(&blocks) else {
        rows(blocks, arranged);
        return;
    };
    let (mut crossing, beside): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|block| block.left < gutter && block.right > gutter);
    crossing.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut beside: Vec<_> = beside.into_iter().map(Some).collect();
    let bounds: Vec<_> = crossing
        .iter()
        .map(Block::middle)
        .chain([f32::INFINITY])
        .collect();
    let mut crossing = crossing.into_iter();
    for bound in bounds {
        let mut above = |is_left: bool| -> Vec<Block> {
            let taken = beside.iter_mut().filter_map(|block| {
                block.take_if(|block| block.middle() < bound && (block.right <= gutter) == is_left)
            });
            taken.collect()
        };
        let (left, right) = (above(true), above(false));
        order(left, arranged);
        order(right, arranged);
        rows(crossing.next().into_iter().collect(), arranged);
    }
}

/// The position of a gutter between columns, if there are columns: the one that the fewest lines cross.
fn gutter(blocks: &[Block]) -> Option<f32> {
    if blocks.len() < 2 * MIN_COLUMN_LINES {
        return None;
    }
    let height = median(blocks.iter().map(Block::height));
    let candidates = blocks.iter().map(|block| block.right + MIN_GUTTER * height / 2.0);
    let best = candidates.filter_map(|at| {
        let (mut left, mut right, mut crossing) = (Vec::new(), Vec::new(), 0);
        for block in blocks {
            if block.right <= at {
                left.push(block);
            } else if block.left >= at {
                right.push(block);
            } else {
                crossing += 1;
            }
        }
        let start = right.iter().map(|block| block.left).fold(f32::INFINITY, f32::min);
        let end = left
            .iter()
            .map(|block| block.right)
            .fold(f32::NEG_INFINITY, f32::max);
        let is_column = |side: &[&Block]| {
            side.len() >= MIN_COLUMN_LINES
                && median(side.iter().map(|block| block.width())) >= MIN_COLUMN_WIDTH * height
        };
        let is_gutter = is_column(&left)
            && is_column(&right)
            && crossing as f32 <= MAX_CROSSING * blocks.len() as f32
            && start - end >= MIN_GUTTER * height;
        is_gutter.then_some((crossing, end - start, (start + end) / 2.0))
    });
    let best = best.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map(|(_, _, at)| at)
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Appends the blocks row by row, each row from left to right.
fn rows(mut blocks: Vec<Block>, arranged: &mut Vec<PlacedLine>) {
    blocks.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut rows: Vec<Vec<Block>> = Vec::new();
    for block in blocks {
        match rows.last_mut() {
            Some(row) if is_in_row(row, &block) => row.push(block),
            _ => rows.push(vec![block]),
        }
    }
    for mut row in rows {
        row.sort_by(|a, b| a.left.total_cmp(&b.left));
        let mut row = row.into_iter();
        let mut last = row.next();
        for block in row {
            match &mut last {
                Some(last) if block.left - last.right < MAX_GAP * last.height().min(block.height()) => {
                    join(last, block);
                }
                _ => arranged.extend(last.replace(block).map(|block| block.line)),
            }
        }
        arranged.extend(last.map(|block| block.line));
    }
}

/// Whether a block is beside the last block of a row, not below it.
fn is_in_row(row: &[Block], block: &Block) -> bool {
    row.last()
        .is_some_and(|last| block.middle() - last.middle() < last.height().min(block.height()) / 2.0)
}

fn join(block: &mut Block, next: Block) {
    let (line, other) = (&mut block.line, next.line);
    line.reading.append(&other.reading);
    if let Some(axes) = Axes::from_direction(line.quad.direction()) {
        let points = [line.quad.0, other.quad.0].concat();
        line.quad = Quad(axes.corners(axes.extent(&points)));
    }
    block.right = block.right.max(next.right);
    block.top = block.top.min(next.top);
    block.bottom = block.bottom.max(next.bottom);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a height of 10 pixels.
    fn line(text: &str, x: f32, y: f32, width: f32) -> PlacedLine {
        let corners = [(x, y), (x + width, y), (x + width, y + 10.0), (x, y + 10.0)];
        PlacedLine {
            quad: Quad(corners.map(|(x, y)| Point { x, y })),
            reading: Reading {
                text: text.to_owned(),
                score: 1.0,
            },
        }
    }

    fn arranged(lines: &[PlacedLine]) -> String {
        let lines = arrange(lines.to_vec());
        let texts: Vec<_> = lines.iter().map(|line| line.reading.text.as_str()).collect();
        texts.join("|")
    }

    /// Two columns whose lines are not aligned, between a heading and a footer.
    fn columns() -> Vec<PlacedLine> {
        let mut lines = vec![
            line("footer", 60.0, 90.0, 150.0),
            line("heading", 0.0, 0.0, 230.0),
        ];
        for (row, name) in ["1", "2", "3"].into_iter().enumerate() {
            lines.push(line(&format!("r{name}"), 140.0, 26.0 + 15.0 * row as f32, 100.0));
            lines.push(line(&format!("l{name}"), 10.0, 20.0 + 15.0 * row as f32, 100.0));
        }
        lines
    }

    #[test]
    fn columns_are_read_one_after_the_other() {
        assert_eq!(arranged(&columns()), "heading|l1|l2|l3|r1|r2|r3|footer");
    }

    #[test]
    fn order_follows_the_direction_of_the_text() {
        for quarters in 1..4 {
            let rotated: Vec<_> = columns()
                .into_iter()
                .map(|mut line| {
                    for _ in 0..quarters {
                        line.quad = line.quad.map(|Point { x, y }| Point { x: -y, y: x });
                    }
                    line
                })
                .collect();
            assert_eq!(arranged(&rotated), "heading|l1|l2|l3|r1|r2|r3|footer");
        }
    }

    #[test]
    fn table_is_read_row_by_row() {
        let mut lines = Vec::new();
        for (row, name) in ["1", "2", "3"].into_iter().enumerate() {
            lines.push(line(
                &format!("right{name}"),
                200.0,
                15.0 * row as f32 + 1.0,
                40.0,
            ));
            lines.push(line(&format!("left{name}"), 0.0, 15.0 * row as f32, 50.0));
        }
        assert_eq!(arranged(&lines), "left1|right1|left2|right2|left3|right3");
    }

    #[test]
    fn fragments_of_a_line_are_joined() {
        let lines = arrange(vec![
            line("far", 200.0, 0.0, 50.0),
            line("world", 55.0, 1.0, 50.0),
            line("hello", 0.0, 0.0, 50.0),
        ]);
        let [joined, far] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (joined.reading.text.as_str(), far.reading.text.as_str()),
            ("hello world", "far")
        );
        assert!((joined.quad.width() - 105.0).abs() < 1e-3 && (joined.quad.height() - 11.0).abs() < 1e-3);
    }

    #[test]
    fn no_lines_give_no_lines() {
        assert_eq!(arranged(&[]), "");
    }
}
