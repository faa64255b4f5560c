//! The picture of a page, from which the networks' inputs are sampled: any rectangle of it, at any size.

use image::RgbImage;
use ndarray::ArrayViewMut3;

use super::quad::Quad;
use crate::geometry::Point;
use crate::image::Picture;

/// The maximum number of pixels, at three bytes each. An A4 page at 300 dots per inch has 8.7 million.
const MAX_PIXELS: f64 = 12_000_000.0;
/// The maximum number of samples per side for one output pixel. Scaling down further skips some pixels.
const MAX_SAMPLES: u32 = 8;

/// An upright picture in RGB. Points outside of it have the average color of its border.
#[derive(Debug)]
pub(super) struct PageImage {
    picture: RgbImage,
    border: [f32; 3],
    /// Pixels of the original per pixel of this picture, horizontally and vertically.
    scale: (f32, f32),
}

impl PageImage {
    /// Consumes the picture, so that its memory is freed early.
    pub(super) fn new(picture: Picture) -> Self {
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
            border: border_color(&picture),
            picture,
        }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.picture.dimensions()
    }

    /// Converts a point to pixels of the original, clamped to it.
    pub(super) fn to_original(&self, point: Point) -> Point {
        let (width, height) = self.size();
        Point {
            x: point.x.clamp(0.0, width as f32) * self.scale.0,
            y: point.y.clamp(0.0, height as f32) * self.scale.1,
        }
    }

    /// Samples the quad into all of `target` (`[3, height, width]`): blue, green and red, from -1 to 1, as the networks were
    /// trained.
    pub(super) fn sample(&self, quad: &Quad, mut target: ArrayViewMut3<'_, f32>) {
        let (_, height, width) = target.dim();
        let samples =
            |length: f32, pixels: usize| ((length / pixels as f32 - 0.2).ceil() as u32).clamp(1, MAX_SAMPLES);
        let across = samples(quad.width(), width);
        let down = samples(quad.height(), height);
        let factor = 1.0 / (across * down) as f32 / 127.5;
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0.0; 3];
                for j in 0..down {
                    for i in 0..across {
                        let fraction = |pixel: usize, samples: u32, sample: u32, side: usize| {
                            (pixel as f32 + (sample as f32 + 0.5) / samples as f32) / side as f32
                        };
                        let point =
                            quad.point_at(fraction(x, across, i, width), fraction(y, down, j, height));
                        self.add_color(point, &mut sum);
                    }
                }
                for (channel, value) in sum.into_iter().rev().enumerate() {
                    target[(channel, y, x)] = value * factor - 1.0;
                }
            }
        }
    }

    /// Adds the color at a point, interpolated between the four pixels around it.
    fn add_color(&self, point: Point, sum: &mut [f32; 3]) {
        let (width, height) = self.size();
        // A pixel's value is the color at its center.
        let (x, y) = (point.x - 0.5, point.y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right_weight, lower_weight) = (x - left, y - top);
        for (row, weight_y) in [(top, 1.0 - lower_weight), (top + 1.0, lower_weight)] {
            for (column, weight_x) in [(left, 1.0 - right_weight), (left + 1.0, right_weight)] {
                let inside = row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
                let color = if inside {
                    self.picture.get_pixel(column as u32, row as u32).0.map(f32::from)
                } else {
                    self.border
                };
                for (sum, color) in sum.iter_mut().zip(color) {
                    *sum += color * weight_x * weight_y;
                }
            }
        }
    }
}

fn border_color(picture: &RgbImage) -> [f32; 3] {
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
