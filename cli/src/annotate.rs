//! Draws what was found onto a copy of the picture: faces with their landmarks, lines of text.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Result;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb, RgbImage};
use mesh_task::{BoundingBox, TaskResult, TaskType};

use crate::exit::usage;
use crate::screen::Screen;
use crate::words;

/// Seen on skin, sky and paper alike.
const BOX: Rgb<u8> = Rgb([0, 230, 64]);
const LANDMARK: Rgb<u8> = Rgb([255, 0, 128]);

/// A picture to draw on, upright, and where the copy goes.
#[derive(Debug)]
pub(crate) struct Annotation {
    picture: RgbImage,
    to: PathBuf,
    format: ImageFormat,
}

impl Annotation {
    /// Reads the picture, and checks all that can be wrong before there is a result.
    pub(crate) fn prepare(task_type: TaskType, from: &Path, to: &Path) -> Result<Self> {
        if !matches!(task_type, TaskType::FaceDetection | TaskType::Ocr) {
            return Err(usage(format!(
                "a result of {task_type} can't be drawn: --annotate goes with face_detection and ocr"
            )));
        }
        let format = ImageFormat::from_path(to).ok();
        let Some(format @ (ImageFormat::Png | ImageFormat::Jpeg)) = format else {
            return Err(usage(format!("{} must end with .png or .jpg", to.display())));
        };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let (to, folder) = (to.display(), folder.display());
            return Err(usage(format!(
                "{to} can't be written: there is no folder {folder}"
            )));
        }
        let is_same =
            fs::canonicalize(to).is_ok_and(|to| fs::canonicalize(from).is_ok_and(|from| from == to));
        if is_same {
            return Err(usage(format!(
                "{} is the picture itself: name another file for the copy",
                to.display()
            )));
        }
        let bytes =
            fs::read(from).map_err(|error| usage(format!("{} can't be read: {error}", from.display())))?;
        let picture = upright(&bytes)
            .map_err(|error| usage(format!("{} can't be drawn on: {error}", from.display())))?;
        Ok(Self {
            picture: picture.into_rgb8(),
            to: to.to_owned(),
            format,
        })
    }

    /// Draws the result's boxes and writes the copy.
    pub(crate) fn draw(mut self, result: Option<&TaskResult>, screen: &Screen) -> Result<()> {
        let drawn = match result {
            Some(TaskResult::FaceDetection(found)) => {
                for face in &found.faces {
                    self.frame(&face.bounds);
                    for point in &face.landmarks {
                        self.dot(point.x, point.y);
                    }
                }
                words::count(found.faces.len(), "face")
            }
            Some(TaskResult::Page(page)) => {
                for line in &page.lines {
                    self.frame(&line.bounds);
                }
                words::count(page.lines.len(), "line")
            }
            _ => {
                screen.note(&format!("nothing to draw: {} is not written", self.to.display()));
                return Ok(());
            }
        };
        let to = self.to.display();
        let written = self.picture.save_with_format(&self.to, self.format);
        written.map_err(|error| usage(format!("{to} can't be written: {error}")))?;
        screen.note(&format!("drew {drawn} onto {to}"));
        Ok(())
    }

    /// A line's thickness in pixels: visible on a large picture, too.
    fn thickness(&self) -> i64 {
        i64::from(self.picture.width().max(self.picture.height()) / 400).max(2)
    }

    /// The box's own edge is the frame's outer one.
    fn frame(&mut self, bounds: &BoundingBox) {
        let [left, top] = [bounds.x, bounds.y].map(pixel);
        let [right, bottom] = [bounds.x + bounds.width, bounds.y + bounds.height].map(pixel);
        let thick = self.thickness();
        self.fill(left, top, right, top + thick, BOX);
        self.fill(left, bottom - thick, right, bottom, BOX);
        self.fill(left, top, left + thick, bottom, BOX);
        self.fill(right - thick, top, right, bottom, BOX);
    }

    fn dot(&mut self, x: f32, y: f32) {
        let (x, y, radius) = (pixel(x), pixel(y), self.thickness());
        self.fill(x - radius, y - radius, x + radius, y + radius, LANDMARK);
    }

    /// Fills a rectangle, as far as it lies on the picture.
    fn fill(&mut self, left: i64, top: i64, right: i64, bottom: i64, colour: Rgb<u8>) {
        let (width, height) = self.picture.dimensions();
        let within = |from: i64, to: i64, side: u32| {
            let [from, to] = [from, to].map(|at| u32::try_from(at.max(0)).unwrap_or(u32::MAX).min(side));
            from..to
        };
        for y in within(top, bottom, height) {
            for x in within(left, right, width) {
                self.picture.put_pixel(x, y, colour);
            }
        }
    }
}

/// The picture as the models see it: its EXIF orientation applied.
fn upright(bytes: &[u8]) -> Result<DynamicImage, image::ImageError> {
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()?
        .into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float turns into the nearest integer that there is"
)]
fn pixel(at: f32) -> i64 {
    at.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_that_reaches_over_the_edge_is_drawn_as_far_as_it_lies_on_the_picture() {
        let mut annotation = Annotation {
            picture: RgbImage::new(20, 10),
            to: PathBuf::new(),
            format: ImageFormat::Png,
        };
        let bounds = BoundingBox {
            x: -3.0,
            y: 2.0,
            width: 13.4,
            height: 50.0,
        };
        annotation.frame(&bounds);
        let is_drawn = |x, y| annotation.picture.get_pixel(x, y) == &BOX;
        assert!(is_drawn(0, 2) && is_drawn(9, 3) && is_drawn(9, 9) && is_drawn(8, 9));
        assert!(!is_drawn(0, 1) && !is_drawn(10, 2) && !is_drawn(5, 4) && !is_drawn(7, 9));
    }
}
