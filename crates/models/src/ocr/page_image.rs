//! The picture as the three networks look at it: any rectangle of it, at any size.

use image::RgbImage;
use ndarray::ArrayViewMut3;

use super::quad::Quad;
use crate::geometry::Point;
use crate::image::Picture;

/// Most pixels that are kept: the 300 dots per inch of an A4 page are 8.7 million. More would only take memory, three
/// bytes each.
const MAX_PIXELS: f64 = 12_000_000.0;
/// Most samples a side for one pixel: shrinking further than that leaves some pixels out.
const MAX_SAMPLES: u32 = 8;

/// An upright picture in RGB, and around it, without end, the average color of its border.
#[derive(Debug)]
pub(super) struct Sheet {
    picture: RgbImage,
    border: [f32; 3],
    /// Pixels of the original for each of the sheet's, across and down.
    scale: (f32, f32),
}

impl Sheet {
    /// Takes the picture's place: it is freed as soon as it may be.
    pub(super) fn of(picture: Picture) -> Self {
        let (width, height) = picture.size();
        let factor = (MAX_PIXELS / (f64::from(width) * f64::from(height)))
            .sqrt()
            .min(1.0);
        let side = |side: u32| ((f64::from(side) * factor) as u32).max(1);
        let picture = picture.into_upright(side(width), side(height));
        Self {
            scale: (
                width as f32 / picture.width() as f32,
                height as f32 / picture.height() as f32,
            ),
            border: border(&picture),
            picture,
        }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.picture.dimensions()
    }

    /// The same point in pixels of the original, which is kept within it.
    pub(super) fn original(&self, point: Point) -> Point {
        let (width, height) = self.size();
        Point {
            x: point.x.clamp(0.0, width as f32) * self.scale.0,
            y: point.y.clamp(0.0, height as f32) * self.scale.1,
        }
    }

    /// Paints what the quad encloses over all of `target` (`[3, height, width]`): blue, green and red, as the networks
    /// were trained, from -1 to 1.
    pub(super) fn paint(&self, quad: &Quad, mut target: ArrayViewMut3<'_, f32>) {
        let (_, height, width) = target.dim();
        let samples = |of: f32, over: usize| ((of / over as f32 - 0.2).ceil() as u32).clamp(1, MAX_SAMPLES);
        let across = samples(quad.width(), width);
        let down = samples(quad.height(), height);
        let factor = 1.0 / (across * down) as f32 / 127.5;
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0.0; 3];
                for j in 0..down {
                    for i in 0..across {
                        let place = |at: usize, of: u32, sample: u32, side: usize| {
                            (at as f32 + (sample as f32 + 0.5) / of as f32) / side as f32
                        };
                        let point = quad.at(place(x, across, i, width), place(y, down, j, height));
                        self.add(point, &mut sum);
                    }
                }
                for (channel, value) in sum.into_iter().rev().enumerate() {
                    target[(channel, y, x)] = value * factor - 1.0;
                }
            }
        }
    }

    /// Adds the color at a point, between the four pixels around it.
    fn add(&self, point: Point, sum: &mut [f32; 3]) {
        let (width, height) = self.size();
        // A pixel's value is the one at its middle.
        let (x, y) = (point.x - 0.5, point.y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right_part, lower_part) = (x - left, y - top);
        for (row, part_y) in [(top, 1.0 - lower_part), (top + 1.0, lower_part)] {
            for (column, part_x) in [(left, 1.0 - right_part), (left + 1.0, right_part)] {
                let inside = row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
                let color = if inside {
                    self.picture.get_pixel(column as u32, row as u32).0.map(f32::from)
                } else {
                    self.border
                };
                for (sum, color) in sum.iter_mut().zip(color) {
                    *sum += color * part_x * part_y;
                }
            }
        }
    }
}

fn border(picture: &RgbImage) -> [f32; 3] {
    let (width, height) = picture.dimensions();
    let rows = (0..width).flat_map(|x| [(x, 0), (x, height - 1)]);
    let columns = (0..height).flat_map(|y| [(0, y), (width - 1, y)]);
    let mut sum = [0_u64; 3];
    for (x, y) in rows.chain(columns) {
        for (sum, value) in sum.iter_mut().zip(picture.get_pixel(x, y).0) {
            *sum += u64::from(value);
        }
    }
    let count = 2 * (u64::from(width) + u64::from(height));
    sum.map(|sum| sum as f32 / count as f32)
}
