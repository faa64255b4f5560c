//! Draws a result onto a copy of the image: boxes around faces and lines of text, and dots for landmarks.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Result;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb, RgbImage};
use mesh_task::{BoundingBox, TaskResult, TaskType};

use crate::exit::usage;
use crate::format;
use crate::screen::Screen;

/// Visible on skin, sky and paper.
const BOX_COLOR: Rgb<u8> = Rgb([0, 230, 64]);
const LANDMARK_COLOR: Rgb<u8> = Rgb([255, 0, 128]);

/// An upright image to draw on, and the file to write the copy to.
#[derive(Debug)]
pub(crate) struct Annotation {
    image: RgbImage,
    output: PathBuf,
    format: ImageFormat,
}

impl Annotation {
    /// Reads the image, and checks in advance that the copy can be written.
    pub(crate) fn prepare(task_type: TaskType, input: &Path, output: &Path) -> Result<Self> {
        if !matches!(task_type, TaskType::FaceDetection | TaskType::Ocr) {
            return Err(usage(format!(
                "cannot draw a result of {task_type}: use --annotate with face_detection or ocr"
            )));
        }
        let format = ImageFormat::from_path(output).ok();
        let Some(format @ (ImageFormat::Png | ImageFormat::Jpeg)) = format else {
            return Err(usage(format!(
                "--annotate {}: use a name that ends with .png or .jpg",
                output.display()
            )));
        };
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(usage(format!(
                "--annotate {}: the folder {} does not exist",
                output.display(),
                folder.display()
            )));
        }
        let is_same = fs::canonicalize(output)
            .is_ok_and(|output| fs::canonicalize(input).is_ok_and(|input| input == output));
        if is_same {
            return Err(usage(format!(
                "--annotate {} would overwrite the image: name another file for the copy",
                output.display()
            )));
        }
        let bytes =
            fs::read(input).map_err(|error| usage(format!("cannot read {}: {error}", input.display())))?;
        let image =
            upright(&bytes).map_err(|error| usage(format!("cannot draw on {}: {error}", input.display())))?;
        Ok(Self {
            image: image.into_rgb8(),
            output: output.to_owned(),
            format,
        })
    }

    /// Draws the result's boxes and writes the copy.
    pub(crate) fn draw(mut self, result: Option<&TaskResult>, screen: &Screen) -> Result<()> {
        let drawn = match result {
            Some(TaskResult::FaceDetection(found)) => {
                for face in &found.faces {
                    self.draw_box(&face.bounds);
                    for point in &face.landmarks {
                        self.draw_landmark(point.x, point.y);
                    }
                }
                format::count(found.faces.len(), "face")
            }
            Some(TaskResult::Page(page)) => {
                for line in &page.lines {
                    self.draw_box(&line.bounds);
                }
                format::count(page.lines.len(), "line")
            }
            _ => {
                screen.note(&format!(
                    "the task has no result to draw: {} is not written",
                    self.output.display()
                ));
                return Ok(());
            }
        };
        let output = self.output.display();
        let written = self.image.save_with_format(&self.output, self.format);
        written.map_err(|error| usage(format!("cannot write {output}: {error}")))?;
        screen.note(&format!("drew {drawn} onto {output}"));
        Ok(())
    }

    /// In pixels. It grows with the image, so that the lines stay visible.
    fn line_width(&self) -> i64 {
        i64::from(self.image.width().max(self.image.height()) / 400).max(2)
    }

    /// Draws along the inside of the box's edges.
    fn draw_box(&mut self, bounds: &BoundingBox) {
        let [left, top] = [bounds.x, bounds.y].map(pixel);
        let [right, bottom] = [bounds.x + bounds.width, bounds.y + bounds.height].map(pixel);
        let width = self.line_width();
        self.fill(left, top, right, top + width, BOX_COLOR);
        self.fill(left, bottom - width, right, bottom, BOX_COLOR);
        self.fill(left, top, left + width, bottom, BOX_COLOR);
        self.fill(right - width, top, right, bottom, BOX_COLOR);
    }

    fn draw_landmark(&mut self, x: f32, y: f32) {
        let (x, y, radius) = (pixel(x), pixel(y), self.line_width());
        self.fill(x - radius, y - radius, x + radius, y + radius, LANDMARK_COLOR);
    }

    /// Fills the part of a rectangle that is inside the image.
    fn fill(&mut self, left: i64, top: i64, right: i64, bottom: i64, color: Rgb<u8>) {
        let (width, height) = self.image.dimensions();
        let within = |from: i64, to: i64, side: u32| {
            let [from, to] = [from, to].map(|at| u32::try_from(at.max(0)).unwrap_or(u32::MAX).min(side));
            from..to
        };
        for y in within(top, bottom, height) {
            for x in within(left, right, width) {
                self.image.put_pixel(x, y, color);
            }
        }
    }
}

/// The image with its EXIF orientation applied, as the models see it.
fn upright(bytes: &[u8]) -> Result<DynamicImage, image::ImageError> {
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()?
        .into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn pixel(at: f32) -> i64 {
    at.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_across_the_edge_of_the_image_is_drawn_inside_it() {
        let mut annotation = Annotation {
            image: RgbImage::new(20, 10),
            output: PathBuf::new(),
            format: ImageFormat::Png,
        };
        let bounds = BoundingBox {
            x: -3.0,
            y: 2.0,
            width: 13.4,
            height: 50.0,
        };
        annotation.draw_box(&bounds);
        let is_drawn = |x, y| annotation.image.get_pixel(x, y) == &BOX_COLOR;
        assert!(is_drawn(0, 2) && is_drawn(9, 3) && is_drawn(9, 9) && is_drawn(8, 9));
        assert!(!is_drawn(0, 1) && !is_drawn(10, 2) && !is_drawn(5, 4) && !is_drawn(7, 9));
    }
}
