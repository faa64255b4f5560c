//! Test pictures, and what they show.

use std::io::Cursor;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::setting;

/// A rectangle on a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// The distance of its left side from the picture's left edge.
    pub x: f64,
    /// The distance of its top from the picture's upper edge.
    pub y: f64,
    /// From its left side to its right side.
    pub width: f64,
    /// From its top to its bottom.
    pub height: f64,
}

/// The astronaut's face, from the hair's edge to the chin, measured by eye.
pub const ASTRONAUT_FACE: Rect = Rect {
    x: 176.0,
    y: 68.0,
    width: 98.0,
    height: 120.0,
};
/// Her eyes, the tip of her nose and her mouth's corners, left to right, measured by eye.
pub const ASTRONAUT_LANDMARKS: [(f64, f64); 5] = [
    (202.0, 101.0),
    (249.0, 103.0),
    (224.0, 124.0),
    (207.0, 143.0),
    (240.0, 145.0),
];
/// Her head and neck.
const ASTRONAUT_HEAD: [u32; 4] = [135, 10, 180, 210];

impl Rect {
    /// Reads the `box` of a detected face.
    ///
    /// # Panics
    /// When a side is missing.
    #[must_use]
    pub fn from_face(face: &Value) -> Self {
        let number = |side: &str| {
            face["box"][side]
                .as_f64()
                .unwrap_or_else(|| panic!("no box.{side} in {face}"))
        };
        Self {
            x: number("x"),
            y: number("y"),
            width: number("width"),
            height: number("height"),
        }
    }

    /// Intersection over union: the shared area divided by the area that both cover together, 0 to 1.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f64 {
        let shared = |start: f64, length: f64, other_start: f64, other_length: f64| {
            ((start + length).min(other_start + other_length) - start.max(other_start)).max(0.0)
        };
        let both = shared(self.x, self.width, other.x, other.width)
            * shared(self.y, self.height, other.y, other.height);
        both / (self.width * self.height + other.width * other.height - both)
    }
}

/// A test picture of the assets.
///
/// # Panics
/// When the assets do not contain it.
#[must_use]
pub fn testdata(name: &str) -> DynamicImage {
    let path = Path::new(&setting("AI_MESH_ASSETS")).join("testdata").join(name);
    image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A picture with one face.
#[must_use]
pub fn astronaut() -> DynamicImage {
    testdata("astronaut.png")
}

/// A picture's file in a format.
///
/// # Panics
/// When the format can't represent it.
#[must_use]
pub fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    // Not every format supports transparency.
    let written = DynamicImage::ImageRgb8(picture.to_rgb8()).write_to(&mut file, format);
    written.unwrap_or_else(|error| panic!("{format:?}: {error}"));
    file.into_inner()
}

/// A file as a submission contains it.
#[must_use]
pub fn base64(file: &[u8]) -> String {
    STANDARD.encode(file)
}

/// Copies of the astronaut's head on one canvas: each with the position of its upper left corner, and a scale.
/// Returns the picture and the positions of the faces on it.
#[must_use]
pub fn group_photo(width: u32, height: u32, heads: &[(u32, u32, f64)]) -> (DynamicImage, Vec<Rect>) {
    let [left, top, head_width, head_height] = ASTRONAUT_HEAD;
    let head = astronaut().crop_imm(left, top, head_width, head_height);
    let mut canvas = RgbImage::from_pixel(width, height, Rgb([196, 190, 186]));
    let face = ASTRONAUT_FACE;
    let faces = heads.iter().map(|&(x, y, scale)| {
        let scaled = |side: u32| (f64::from(side) * scale).round() as u32;
        let head = head.resize_exact(scaled(head_width), scaled(head_height), FilterType::Triangle);
        imageops::replace(&mut canvas, &head.to_rgb8(), x.into(), y.into());
        Rect {
            x: f64::from(x) + (face.x - f64::from(left)) * scale,
            y: f64::from(y) + (face.y - f64::from(top)) * scale,
            width: face.width * scale,
            height: face.height * scale,
        }
    });
    let faces = faces.collect();
    (DynamicImage::ImageRgb8(canvas), faces)
}

/// Random pixels, which no format can compress.
#[must_use]
pub fn noise(width: u32, height: u32) -> DynamicImage {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |_, _| {
        Rgb([next(), next(), next()])
    }))
}

/// A JPEG with an EXIF orientation added (TIFF tag 0x0112; EXIF 2.32, section 4.6.4).
///
/// # Panics
/// When the file is not a JPEG.
#[must_use]
pub fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).expect("a few bytes");
    let body = jpeg
        .strip_prefix(&[0xff, 0xd8])
        .expect("a JPEG begins with its start marker");
    [&[0xff, 0xd8, 0xff, 0xe1], &length.to_be_bytes()[..], &exif, body].concat()
}

/// A PNG that declares these sides and contains an empty stream of pixels.
#[must_use]
pub fn png_without_pixels(width: u32, height: u32) -> Vec<u8> {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // 8 bits, RGB, no interlacing.
    head.extend([8, 2, 0, 0, 0]);
    // An empty zlib stream.
    let content = [0x78, 0x9c, 0x03, 0, 0, 0, 0, 1];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, body) in [(b"IHDR", &head[..]), (b"IDAT", &content), (b"IEND", &[])] {
        let chunk = [name, body].concat();
        file.extend(u32::try_from(body.len()).expect("a few bytes").to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

/// A BMP that declares these sides and contains no pixels.
#[must_use]
pub fn bmp_without_pixels(width: i32, height: i32) -> Vec<u8> {
    let mut file = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    // One plane, 24 bits.
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file
}

/// A GIF that declares these sides, for its screen and its one frame, and contains an empty stream of pixels.
#[must_use]
pub fn gif_without_pixels(width: u16, height: u16) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    // Two colors; then the frame, an empty stream of codes and the end.
    let colors = [0x80, 0, 0, 0, 0, 0, 255, 255, 255];
    let frame = [0x2c, 0, 0, 0, 0];
    [
        b"GIF89a",
        &sides[..],
        &colors,
        &frame,
        &sides,
        &[0, 2, 2, 0x4c, 1, 0, 0x3b],
    ]
    .concat()
}

/// The checksum of a PNG chunk (RFC 2083, section 15).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
