//! Rectangles at any angle, as text lies on a page.

use crate::geometry::Point;

/// A rectangle at any angle: its corners clockwise, from the one at the upper left of its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quad(pub(super) [Point; 4]);

impl Quad {
    /// The least rectangle around points, of whose four ways to be read the one nearest to upright is taken. None for
    /// fewer than three points, or for points on a line.
    ///
    /// One of its sides lies along a side of the convex hull (Freeman and Shapira, 1975).
    pub(super) fn around(points: &[Point]) -> Option<Self> {
        let hull = hull(points);
        let sides = hull.iter().zip(hull.iter().cycle().skip(1));
        let least = sides
            .filter_map(|(a, b)| Axes::along(*a, *b))
            .map(|axes| (axes, axes.extent(&hull)))
            .min_by(|(_, a), (_, b)| a.area().total_cmp(&b.area()));
        let (axes, extent) = least?;
        (extent.area() > 0.0).then(|| Self(axes.corners(extent)))
    }

    /// Of its text, along the line.
    pub(super) fn width(&self) -> f32 {
        distance(self.0[0], self.0[1])
    }

    /// Of its text, across the line.
    pub(super) fn height(&self) -> f32 {
        distance(self.0[0], self.0[3])
    }

    /// The way its text runs: a vector as long as the line.
    pub(super) fn direction(&self) -> Point {
        let [from, to, ..] = self.0;
        Point {
            x: to.x - from.x,
            y: to.y - from.y,
        }
    }

    /// The same rectangle, read after so many quarter turns clockwise: 1 is text that runs down, 2 stands on its head.
    pub(super) fn turned(mut self, quarters: usize) -> Self {
        self.0.rotate_left(quarters % 4);
        self
    }

    /// Larger by so much on the left and right, and above and below.
    pub(super) fn grown(&self, beside: f32, above: f32) -> Self {
        let (across, down) = (beside / self.width(), above / self.height());
        Self([
            self.at(-across, -down),
            self.at(1.0 + across, -down),
            self.at(1.0 + across, 1.0 + down),
            self.at(-across, 1.0 + down),
        ])
    }

    /// The part of its length between two fractions of it.
    pub(super) fn part(&self, from: f32, to: f32) -> Self {
        Self([
            self.at(from, 0.0),
            self.at(to, 0.0),
            self.at(to, 1.0),
            self.at(from, 1.0),
        ])
    }

    /// The point at these fractions of its width and height.
    pub(super) fn at(&self, across: f32, down: f32) -> Point {
        let [origin, right, _, below] = self.0;
        Point {
            x: origin.x + (right.x - origin.x) * across + (below.x - origin.x) * down,
            y: origin.y + (right.y - origin.y) * across + (below.y - origin.y) * down,
        }
    }

    /// All corners by a function that keeps rectangles rectangles.
    pub(super) fn map(&self, place: impl Fn(Point) -> Point) -> Self {
        Self(self.0.map(place))
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// A unit vector to the right, within 45 degrees, as an axis; the other axis is a quarter turn clockwise of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    x: f32,
    y: f32,
}

/// From least to most along each of two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) along: (f32, f32),
    pub(super) across: (f32, f32),
}

impl Extent {
    fn area(&self) -> f32 {
        (self.along.1 - self.along.0) * (self.across.1 - self.across.0)
    }
}

impl Axes {
    /// Along this side, or a right angle to it.
    fn along(a: Point, b: Point) -> Option<Self> {
        let mut axes = Self::of(Point {
            x: b.x - a.x,
            y: b.y - a.y,
        })?;
        if axes.x.abs() < axes.y.abs() {
            axes = Self {
                x: -axes.y,
                y: axes.x,
            };
        }
        if axes.x < 0.0 {
            axes = Self {
                x: -axes.x,
                y: -axes.y,
            };
        }
        Some(axes)
    }

    /// In just this direction; None for a vector without length.
    pub(super) fn of(direction: Point) -> Option<Self> {
        let length = direction.x.hypot(direction.y);
        (length > 0.0).then(|| Self {
            x: direction.x / length,
            y: direction.y / length,
        })
    }

    pub(super) fn extent(&self, points: &[Point]) -> Extent {
        let nothing = (f32::INFINITY, f32::NEG_INFINITY);
        points.iter().fold(
            Extent {
                along: nothing,
                across: nothing,
            },
            |extent, point| {
                let along = point.x * self.x + point.y * self.y;
                let across = point.y * self.x - point.x * self.y;
                Extent {
                    along: (extent.along.0.min(along), extent.along.1.max(along)),
                    across: (extent.across.0.min(across), extent.across.1.max(across)),
                }
            },
        )
    }

    pub(super) fn corners(&self, extent: Extent) -> [Point; 4] {
        let (left, right) = extent.along;
        let (top, bottom) = extent.across;
        [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(along, across)| Point {
            x: along * self.x - across * self.y,
            y: along * self.y + across * self.x,
        })
    }
}

/// The convex hull, by Andrew's monotone chain.
fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    sorted.dedup();
    let mut hull: Vec<Point> = Vec::new();
    let mut chain = |points: &mut dyn Iterator<Item = Point>| {
        let start = hull.len();
        for point in points {
            while let [.., a, b] = hull[start..] {
                if (b.x - a.x) * (point.y - a.y) > (b.y - a.y) * (point.x - a.x) {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        hull.pop();
    };
    chain(&mut sorted.iter().copied());
    chain(&mut sorted.iter().rev().copied());
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    fn assert_near(found: Quad, expected: [(f32, f32); 4]) {
        for (found, (x, y)) in found.0.iter().zip(expected) {
            assert!(
                (found.x - x).abs() < 1e-3 && (found.y - y).abs() < 1e-3,
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_least_rectangle_around_points_starts_at_the_upper_left() {
        let upright = [
            point(4.0, 1.0),
            point(0.0, 3.0),
            point(0.0, 1.0),
            point(4.0, 3.0),
            point(2.0, 2.0),
        ];
        let quad = Quad::around(&upright).unwrap();
        assert_near(quad, [(0.0, 1.0), (4.0, 1.0), (4.0, 3.0), (0.0, 3.0)]);
        assert!((quad.width() - 4.0).abs() < 1e-4 && (quad.height() - 2.0).abs() < 1e-4);
    }

    #[test]
    fn a_slanted_rectangle_is_found_as_it_lies() {
        // 10 by 2, up by 3 for every 4 to the right.
        let corners = [(0.0, 6.0), (8.0, 0.0), (9.2, 1.6), (1.2, 7.6)];
        let quad = Quad::around(&corners.map(|(x, y)| point(x, y))).unwrap();
        assert_near(quad, corners);
    }

    #[test]
    fn points_without_an_area_have_no_rectangle() {
        assert_eq!(Quad::around(&[]), None);
        assert_eq!(Quad::around(&[point(1.0, 1.0); 3]), None);
        assert_eq!(
            Quad::around(&[point(0.0, 0.0), point(1.0, 1.0), point(2.0, 2.0)]),
            None
        );
    }

    #[test]
    fn growing_and_turning_keep_the_order_of_corners() {
        let quad = Quad([point(0.0, 0.0), point(4.0, 0.0), point(4.0, 2.0), point(0.0, 2.0)]);
        assert_near(
            quad.grown(1.0, 0.5),
            [(-1.0, -0.5), (5.0, -0.5), (5.0, 2.5), (-1.0, 2.5)],
        );
        // Text that runs down has its upper left corner at the upper right of the rectangle.
        assert_near(quad.turned(1), [(4.0, 0.0), (4.0, 2.0), (0.0, 2.0), (0.0, 0.0)]);
        assert_near(
            quad.part(0.5, 1.0),
            [(2.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0)],
        );
    }
}
