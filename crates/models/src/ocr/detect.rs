//! Detects where text is, with PP-OCR's differentiable binarization network (Liao et al., "Real-time Scene Text Detection
//! with Differentiable Binarization", 2020, <https://arxiv.org/abs/1911.08947>). It gives for each pixel the
//! probability that it is part of a line's core. The core is thinner than the line, so each region is expanded.

use std::path::Path;

use ndarray::{Array4, ArrayView2, Axis, Ix4};
use ort::value::TensorRef;

use super::page_image::PageImage;
use super::quad::Quad;
use crate::geometry::Point;
use crate::runtime::{self, Interrupt, Model};
use crate::{LoadError, ModelError};

const MODEL: &str = "models/ocr/det.onnx";

/// The maximum number of pixels of the network's input. Time and memory grow with them.
const MAX_PIXELS: f32 = 1_400_000.0;
/// Pictures with fewer pixels are scaled up, by `MAX_ENLARGEMENT` per side at most.
const MIN_PIXELS: f32 = 400_000.0;
const MAX_ENLARGEMENT: f32 = 2.0;
/// The network halves its input five times, so its sides are multiples of this.
const SIDE_MULTIPLE: u32 = 32;
/// The border around the picture, in pixels, which improves the detection of text at the edge.
const MARGIN: u32 = 16;
/// The minimum probability of a pixel to count as text; the authors' value.
const MIN_PROBABILITY: f32 = 0.3;
/// The minimum mean probability of a region's pixels.
const MIN_SCORE: f32 = 0.55;
/// A core is expanded by its area over its perimeter times these factors, along the line and across it. The authors' value
/// is 1.6 for both. With more space above and below, a line is read with fewer errors and in less time.
const EXPANSION: (f32, f32) = (1.6, 2.0);
/// The minimum height of a core, in pixels. A thinner one is noise.
const MIN_SIDE: f32 = 3.0;
/// The maximum number of regions of a page; an A4 page of small print has 120 lines.
const MAX_REGIONS: usize = 1_000;

#[derive(Debug)]
pub(super) struct Detector {
    model: Model,
}

impl Detector {
    pub(super) fn load(assets: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            model: Model::load(assets.join(MODEL), &["image"], &["text"])?.returning_memory(),
        })
    }

    /// The lines, or parts of lines, in pixels of the page image, as if all text were upright.
    pub(super) fn regions(&self, page: &PageImage, interrupt: &Interrupt) -> Result<Vec<Quad>, ModelError> {
        let view = View::new(page.size());
        let mut input = Array4::zeros((1, 3, view.height as usize, view.width as usize));
        page.sample(&view.area(), input.index_axis_mut(Axis(0), 0));
        interrupt.check()?;
        let tensor = TensorRef::from_array_view(&input).map_err(runtime::failed)?;
        let quads = self
            .model
            .run(vec![("image", tensor.into())], interrupt, |outputs| {
                let map = outputs["text"].try_extract_array::<f32>()?;
                let map = map
                    .into_dimensionality::<Ix4>()
                    .map_err(|error| ort::Error::new(format!("output text: {error}")))?;
                if map.dim() != (1, 1, view.height as usize, view.width as usize) {
                    return Err(ort::Error::new(format!(
                        "the output text has the shape {:?}",
                        map.shape()
                    )));
                }
                Ok(regions(map.slice(ndarray::s![0, 0, .., ..])))
            })?;
        Ok(quads
            .iter()
            .map(|quad| quad.map(|point| view.to_page(point)))
            .collect())
    }
}

/// The scale at which a page image is input to the network.
struct View {
    /// Pixels of the input per pixel of the page image.
    factor: f32,
    /// The width of the input, in pixels.
    width: u32,
    /// The height of the input, in pixels.
    height: u32,
}

impl View {
    fn new((width, height): (u32, u32)) -> Self {
        let pixels = width as f32 * height as f32;
        let factor = if pixels > MAX_PIXELS {
            (MAX_PIXELS / pixels).sqrt()
        } else {
            (MIN_PIXELS / pixels).sqrt().clamp(1.0, MAX_ENLARGEMENT)
        };
        let side = |side: u32| {
            let scaled = (side as f32 * factor).ceil() as u32;
            (scaled + 2 * MARGIN).next_multiple_of(SIDE_MULTIPLE)
        };
        Self {
            factor,
            width: side(width),
            height: side(height),
        }
    }

    /// The area that the input covers, in pixels of the page image: the page and a border.
    fn area(&self) -> Quad {
        let (right, bottom) = (self.width as f32, self.height as f32);
        let corners = [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)];
        Quad(corners.map(|(x, y)| self.to_page(Point { x, y })))
    }

    /// Converts a point from pixels of the input to pixels of the page image.
    fn to_page(&self, point: Point) -> Point {
        Point {
            x: (point.x - MARGIN as f32) / self.factor,
            y: (point.y - MARGIN as f32) / self.factor,
        }
    }
}

fn regions(map: ArrayView2<'_, f32>) -> Vec<Quad> {
    let mut cores = cores(&map);
    cores.sort_by_key(|core| std::cmp::Reverse(core.pixels));
    cores.truncate(MAX_REGIONS);
    cores
        .into_iter()
        .filter_map(|core| {
            let quad = Quad::around(&core.outline)?;
            let (width, height) = (quad.width(), quad.height());
            if width.min(height) < MIN_SIDE || core.score() < MIN_SCORE {
                return None;
            }
            let unit = width * height / (2.0 * (width + height));
            Some(if width >= height {
                quad.expanded(EXPANSION.0 * unit, EXPANSION.1 * unit)
            } else {
                quad.expanded(EXPANSION.1 * unit, EXPANSION.0 * unit)
            })
        })
        .collect()
}

/// Adjacent pixels that are each likely to be text.
struct Core {
    pixels: usize,
    probabilities: f32,
    /// Points with the same convex hull as the pixels.
    outline: Vec<Point>,
}

impl Core {
    /// The mean over the core's own pixels. A bent line fills only half of the rectangle around it.
    fn score(&self) -> f32 {
        self.probabilities / self.pixels as f32
    }
}

fn cores(map: &ArrayView2<'_, f32>) -> Vec<Core> {
    let (height, width) = map.dim();
    let mut unvisited = map.mapv(|probability| probability > MIN_PROBABILITY);
    let mut cores = Vec::new();
    let mut stack = Vec::new();
    for y in 0..height {
        for x in 0..width {
            if !std::mem::take(&mut unvisited[(y, x)]) {
                continue;
            }
            // The first and last pixel of each row. The scan meets the topmost row first.
            let mut rows = vec![(x, x)];
            let (mut pixels, mut probabilities) = (0, 0.0);
            stack.push((y, x));
            while let Some((row, column)) = stack.pop() {
                pixels += 1;
                probabilities += map[(row, column)];
                if row - y >= rows.len() {
                    rows.resize(row - y + 1, (column, column));
                }
                let (first, last) = &mut rows[row - y];
                (*first, *last) = ((*first).min(column), (*last).max(column));
                for row in row.saturating_sub(1)..height.min(row + 2) {
                    for column in column.saturating_sub(1)..width.min(column + 2) {
                        if std::mem::take(&mut unvisited[(row, column)]) {
                            stack.push((row, column));
                        }
                    }
                }
            }
            cores.push(Core {
                pixels,
                probabilities,
                outline: outline(y, &rows),
            });
        }
    }
    cores
}

fn outline(top: usize, rows: &[(usize, usize)]) -> Vec<Point> {
    rows.iter()
        .enumerate()
        .flat_map(|(row, &(first, last))| {
            let (left, right) = (first as f32, last as f32 + 1.0);
            let (upper, lower) = ((top + row) as f32, (top + row) as f32 + 1.0);
            [(left, upper), (right, upper), (left, lower), (right, lower)].map(|(x, y)| Point { x, y })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// A probability map that is 0.9 in these rectangles (left, top, width, height).
    fn map(rectangles: &[(usize, usize, usize, usize)]) -> Array2<f32> {
        let mut map = Array2::zeros((64, 128));
        for &(left, top, width, height) in rectangles {
            map.slice_mut(ndarray::s![top..top + height, left..left + width])
                .fill(0.9);
        }
        map
    }

    #[test]
    fn core_is_expanded_to_its_line() {
        let regions = regions(map(&[(20, 20, 60, 6)]).view());
        let [line] = regions.as_slice() else {
            panic!("{regions:?}")
        };
        // Area over perimeter is 360 / 132: 1.6 times that at the ends, 2 times above and below.
        let (ends, above) = (1.6 * 360.0 / 132.0, 2.0 * 360.0 / 132.0);
        assert!((line.width() - (60.0 + 2.0 * ends)).abs() < 1e-3, "{line:?}");
        assert!((line.height() - (6.0 + 2.0 * above)).abs() < 1e-3, "{line:?}");
        assert!((line.0[0].x - (20.0 - ends)).abs() < 1e-3 && (line.0[0].y - (20.0 - above)).abs() < 1e-3);
    }

    #[test]
    fn adjacent_pixels_are_one_region_and_thin_ones_are_ignored() {
        // Two rectangles that touch at a corner, a separate one, and one that is too thin.
        let found = regions(map(&[(0, 0, 20, 5), (20, 5, 20, 5), (60, 0, 40, 8), (0, 30, 40, 2)]).view());
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn region_with_a_low_score_is_ignored() {
        let faint = map(&[(20, 20, 60, 6)]).mapv(|probability| probability * 0.5);
        assert_eq!(regions(faint.view()), []);
    }

    #[test]
    fn number_of_regions_is_limited() {
        assert_eq!(regions(Array2::ones((64, 128)).view()).len(), 1);
        let dots = Array2::from_shape_fn((640, 640), |(y, x)| f32::from(u8::from(y % 6 < 4 && x % 6 < 4)));
        assert!(regions(dots.view()).len() <= MAX_REGIONS);
    }

    #[test]
    fn view_has_valid_sides_and_a_limited_size() {
        for size in [
            (1, 1),
            (4_000, 3_000),
            (16_384, 1),
            (1, 16_384),
            (16_384, 732),
            (640, 480),
        ] {
            let view = View::new(size);
            assert!(
                view.width.is_multiple_of(32) && view.height.is_multiple_of(32),
                "{size:?}"
            );
            assert!(
                view.width * view.height < 2_500_000,
                "{size:?}: {} x {}",
                view.width,
                view.height
            );
            let corner = view.to_page(Point { x: 16.0, y: 16.0 });
            assert!(corner.x.abs() < 1e-3 && corner.y.abs() < 1e-3);
        }
    }
}
