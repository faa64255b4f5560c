//! Points and rectangles in pixels. The x axis points right, the y axis down.

use serde::{Deserialize, Serialize};

/// A rectangle within the upright picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// The distance from the picture's left edge to the rectangle's.
    pub x: f32,
    /// The distance from the picture's upper edge to the rectangle's.
    pub y: f32,
    /// The width in pixels, over 0.
    pub width: f32,
    /// The height in pixels, over 0.
    pub height: f32,
}

impl Rect {
    /// The bounding box of the points; `None` without any.
    pub(crate) fn around(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let (mut min, mut max) = (*first, *first);
        for point in rest {
            min = Point {
                x: min.x.min(point.x),
                y: min.y.min(point.y),
            };
            max = Point {
                x: max.x.max(point.x),
                y: max.y.max(point.y),
            };
        }
        Some(Self {
            x: min.x,
            y: min.y,
            width: max.x - min.x,
            height: max.y - min.y,
        })
    }

    /// The intersection over union of both rectangles, 0 to 1.
    pub(crate) fn intersection_over_union(&self, other: &Self) -> f32 {
        let shared_length = |start: f32, length: f32, other_start: f32, other_length: f32| {
            ((start + length).min(other_start + other_length) - start.max(other_start)).max(0.0)
        };
        let shared = shared_length(self.x, self.width, other.x, other.width)
            * shared_length(self.y, self.height, other.y, other.height);
        shared / (self.width * self.height + other.width * other.height - shared)
    }

    /// The part of the rectangle within a picture of this size; `None` if it is outside.
    pub(crate) fn clipped(self, width: f32, height: f32) -> Option<Self> {
        let (x, y) = (self.x.max(0.0), self.y.max(0.0));
        let (right, bottom) = (
            (self.x + self.width).min(width),
            (self.y + self.height).min(height),
        );
        (right > x && bottom > y).then_some(Self {
            x,
            y,
            width: right - x,
            height: bottom - y,
        })
    }
}

/// A point of the upright picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The distance from the picture's left edge.
    pub x: f32,
    /// The distance from the picture's upper edge.
    pub y: f32,
}
