//! Rectangles at any angle, like lines of text on a page.

use crate::geometry::Point;

/// A rectangle at any angle, by its corners: clockwise, from the upper left of its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quad(pub(super) [Point; 4]);

impl Quad {
    /// The smallest rectangle around points, read in the direction closest to upright. `None` for fewer than three points,
    /// or for points on a line.
    ///
    /// One of its sides is along a side of the convex hull (Freeman and Shapira, 1975).
    pub(super) fn around(points: &[Point]) -> Option<Self> {
        let hull = hull(points);
        let sides = hull.iter().zip(hull.iter().cycle().skip(1));
        let smallest = sides
            .filter_map(|(a, b)| Axes::from_side(*a, *b))
            .map(|axes| (axes, axes.extent(&hull)))
            .min_by(|(_, a), (_, b)| a.area().total_cmp(&b.area()));
        let (axes, extent) = smallest?;
        (extent.area() > 0.0).then(|| Self(axes.corners(extent)))
    }

    /// The length along the line of text.
    pub(super) fn width(&self) -> f32 {
        distance(self.0[0], self.0[1])
    }

    /// The length across the line of text.
    pub(super) fn height(&self) -> f32 {
        distance(self.0[0], self.0[3])
    }

    /// The direction of the text, as a vector of the line's length.
    pub(super) fn direction(&self) -> Point {
        let [from, to, ..] = self.0;
        Point {
            x: to.x - from.x,
            y: to.y - from.y,
        }
    }

    /// The same rectangle with its text rotated clockwise by quarter turns: 1 is text that runs down, 2 is upside down.
    pub(super) fn rotated(mut self, quarters: usize) -> Self {
        self.0.rotate_left(quarters % 4);
        self
    }

    /// The rectangle expanded by `beside` on the left and right, and by `above` above and below.
    pub(super) fn expanded(&self, beside: f32, above: f32) -> Self {
        let (across, down) = (beside / self.width(), above / self.height());
        Self([
            self.point_at(-across, -down),
            self.point_at(1.0 + across, -down),
            self.point_at(1.0 + across, 1.0 + down),
            self.point_at(-across, 1.0 + down),
        ])
    }

    /// The part between two fractions of the length.
    pub(super) fn section(&self, from: f32, to: f32) -> Self {
        Self([
            self.point_at(from, 0.0),
            self.point_at(to, 0.0),
            self.point_at(to, 1.0),
            self.point_at(from, 1.0),
        ])
    }

    /// The point at these fractions of the width and height.
    pub(super) fn point_at(&self, across: f32, down: f32) -> Point {
        let [origin, right, _, below] = self.0;
        Point {
            x: origin.x + (right.x - origin.x) * across + (below.x - origin.x) * down,
            y: origin.y + (right.y - origin.y) * across + (below.y - origin.y) * down,
        }
    }

    /// The rectangle with each corner transformed. The function must map rectangles to rectangles.
    pub(super) fn map(&self, transform: impl Fn(Point) -> Point) -> Self {
        Self(self.0.map(transform))
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Two perpendicular axes, by the unit vector of the first. The second is a quarter turn clockwise from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    x: f32,
    y: f32,
}

/// The minimum and maximum along each of two axes.
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
    /// The axes along this side or perpendicular to it, with the first one to the right, within 45 degrees.
    fn from_side(a: Point, b: Point) -> Option<Self> {
        let mut axes = Self::from_direction(Point {
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

    /// The axes with the first one in this direction. `None` for a vector of length 0.
    pub(super) fn from_direction(direction: Point) -> Option<Self> {
        let length = direction.x.hypot(direction.y);
        (length > 0.0).then(|| Self {
            x: direction.x / length,
            y: direction.y / length,
        })
    }

    pub(super) fn extent(&self, points: &[Point]) -> Extent {
        let empty = (f32::INFINITY, f32::NEG_INFINITY);
        points.iter().fold(
            Extent {
                along: empty,
                across: empty,
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
    fn smallest_rectangle_around_points_starts_at_the_upper_left() {
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
    fn slanted_rectangle_is_found_at_its_angle() {
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
    fn expanding_and_rotating_preserve_the_order_of_corners() {
        let quad = Quad([point(0.0, 0.0), point(4.0, 0.0), point(4.0, 2.0), point(0.0, 2.0)]);
        assert_near(
            quad.expanded(1.0, 0.5),
            [(-1.0, -0.5), (5.0, -0.5), (5.0, 2.5), (-1.0, 2.5)],
        );
        // Text that runs down has its upper left corner at the upper right of the rectangle.
        assert_near(quad.rotated(1), [(4.0, 0.0), (4.0, 2.0), (0.0, 2.0), (0.0, 0.0)]);
        assert_near(
            quad.section(0.5, 1.0),
            [(2.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0)],
        );
    }
}
