//! Points and rectangles in pixels: x to the right, y down.

use serde::{Deserialize, Serialize};

/// A rectangle in pixels of the upright picture, within it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// From the left edge to the rectangle's left.
    pub x: f32,
    /// From the upper edge to the rectangle's top.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Rect {
    /// The least rectangle around points; None without any.
    pub(crate) fn around(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let (mut least, mut most) = (*first, *first);
        for point in rest {
            least = Point {
                x: least.x.min(point.x),
                y: least.y.min(point.y),
            };
            most = Point {
                x: most.x.max(point.x),
                y: most.y.max(point.y),
            };
        }
        Some(Self {
            x: least.x,
            y: least.y,
            width: most.x - least.x,
            height: most.y - least.y,
        })
    }

    /// The shared area over the area of both together, 0 to 1.
    pub(crate) fn overlap(&self, other: &Self) -> f32 {
        let shared = |start: f32, length: f32, other_start: f32, other_length: f32| {
            ((start + length).min(other_start + other_length) - start.max(other_start)).max(0.0)
        };
        let both = shared(self.x, self.width, other.x, other.width)
            * shared(self.y, self.height, other.y, other.height);
        both / (self.width * self.height + other.width * other.height - both)
    }

    /// The part of it within a picture of this size; None if there is none.
    pub(crate) fn within(self, width: f32, height: f32) -> Option<Self> {
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

/// A point in pixels of the upright picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From the left edge.
    pub x: f32,
    /// From the upper edge.
    pub y: f32,
}
