//! Decodes untrusted image files: detects the type by the content, enforces limits, and gives the pixels, upright.
//!
//! Limits are enforced before anything is decoded, so a small file can't take much memory or time. The EXIF orientation is
//! the only metadata that is read: text chunks and color profiles are skipped.

mod error;
mod jpeg;
#[cfg(test)]
mod tests;
mod vp8l;
mod webp;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::fmt;

pub use error::ImageError;

use crate::contain::{DECODER_PANICKED, contain};
use crate::source::Source;
use crate::{Interrupt, ModelError};

/// The maximum size of a file, in bytes (50 MiB).
pub const MAX_BYTES: usize = 50 * 1024 * 1024;
/// The maximum length of a side, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The maximum number of pixels: enough for the 48 and 50 megapixel cameras of phones.
pub const MAX_PIXELS: u64 = 50_000_000;
/// The maximum memory of a decoder, in bytes. A picture of [`MAX_PIXELS`] with four channels takes 200 MB of it. The decoder
/// does not count the coefficients of a progressive JPEG, which take up to 300 MB more.
const MAX_DECODER_BYTES: u64 = 256 * 1024 * 1024;

/// A supported type of image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// JPEG, baseline or progressive, in gray, YCbCr, RGB or CMYK.
    Jpeg,
    /// PNG. An animated one gives its default image.
    Png,
    /// WebP, lossy or lossless. An animated one gives its first frame.
    WebP,
    /// GIF, of which only the first frame is decoded.
    Gif,
    /// Windows bitmap, at any bit depth.
    Bmp,
}

impl ImageKind {
    /// The media type, e.g. `image/jpeg`.
    pub fn content_type(self) -> &'static str {
        self.format().to_mime_type()
    }

    fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
            Self::Bmp => ImageFormat::Bmp,
        }
    }
}

impl fmt::Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        })
    }
}

/// Detects an image's type by its first bytes. File names and declared types are not trusted.
///
/// # Errors
/// [`ImageError::Unsupported`] for anything but the types of [`ImageKind`].
pub fn sniff(file: &[u8]) -> Result<ImageKind, ImageError> {
    let found = match image::guess_format(file) {
        Ok(ImageFormat::Jpeg) => return Ok(ImageKind::Jpeg),
        Ok(ImageFormat::Png) => return Ok(ImageKind::Png),
        Ok(ImageFormat::WebP) => return Ok(ImageKind::WebP),
        Ok(ImageFormat::Gif) => return Ok(ImageKind::Gif),
        Ok(ImageFormat::Bmp) => return Ok(ImageKind::Bmp),
        Ok(other) => format!("an image of type {}", other.to_mime_type()),
        Err(_) if file.is_empty() => "an empty file".to_owned(),
        Err(_) => "this file (its first bytes match no known image type)".to_owned(),
    };
    Err(ImageError::Unsupported { found })
}

/// A decoded picture as stored, with the orientation that makes it upright. It has 8 bits per channel.
#[derive(Debug)]
pub struct Picture {
    stored: DynamicImage,
    orientation: Orientation,
}

impl Picture {
    /// Decodes a file within the limits.
    ///
    /// # Errors
    /// [`ImageError`] for the first of these that fails: bytes, type, sides and pixels, content.
    pub fn decode(file: &[u8]) -> Result<Self, ImageError> {
        Self::decode_source(Source::new(file, &|| false))
    }

    /// Decodes a file within the limits, until the interrupt is triggered.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`], or the errors of [`decode`](Self::decode).
    pub fn decode_until(file: &[u8], interrupt: &Interrupt) -> Result<Self, ModelError> {
        let decoded = Self::decode_source(Source::new(file, &|| interrupt.is_triggered()));
        // To the decoder, an interrupt is a file that can't be read.
        interrupt.check()?;
        Ok(decoded?)
    }

    fn decode_source(source: Source<'_>) -> Result<Self, ImageError> {
        let file = source.file();
        if file.len() > MAX_BYTES {
            return Err(ImageError::too_large(
                format!("{} bytes", file.len()),
                format!("{MAX_BYTES} bytes ({} MiB)", MAX_BYTES >> 20),
            ));
        }
        let kind = sniff(file)?;
        let decoded = contain(|| Self::decode_kind(kind, source));
        decoded.unwrap_or_else(|| Err(ImageError::invalid(kind, DECODER_PANICKED)))
    }

    fn decode_kind(kind: ImageKind, source: Source<'_>) -> Result<Self, ImageError> {
        match kind {
            ImageKind::Png => return decode_png(source),
            ImageKind::Jpeg => return jpeg::decode(source),
            ImageKind::WebP => return decode_webp(&source),
            ImageKind::Gif | ImageKind::Bmp => {}
        }
        decode_other(source, kind)
    }

    /// The width and height of the upright picture, in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = (self.stored.width(), self.stored.height());
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }

    fn swaps_sides(&self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(
            self.orientation,
            Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH
        )
    }

    /// The upright picture in RGB, scaled to this width and height. Transparent pixels are white.
    #[must_use]
    pub fn upright(&self, width: u32, height: u32) -> image::RgbImage {
        let (width, height) = if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        };
        let scaled = scale(&self.stored, width, height);
        let mut upright = DynamicImage::ImageRgb8(on_white(scaled));
        upright.apply_orientation(self.orientation);
        upright.into_rgb8()
    }
}

impl Picture {
    /// Like [`upright`](Self::upright), with less memory, for a size that is the picture's own or a little smaller.
    #[must_use]
    pub fn into_upright(self, width: u32, height: u32) -> image::RgbImage {
        let (width, height) = if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        };
        let scaled = if (self.stored.width(), self.stored.height()) == (width, height) {
            self.stored
        } else {
            self.stored.thumbnail_exact(width, height)
        };
        let mut upright = DynamicImage::ImageRgb8(on_white(scaled));
        upright.apply_orientation(self.orientation);
        upright.into_rgb8()
    }
}

/// Scales with the triangle filter. A picture of over twice the size is first averaged, which is cheaper.
fn scale(stored: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    if (stored.width(), stored.height()) == (width, height) {
        return stored.clone();
    }
    let (coarse_width, coarse_height) = (stored.width().min(width * 2), stored.height().min(height * 2));
    let filter = image::imageops::FilterType::Triangle;
    if (coarse_width, coarse_height) == (stored.width(), stored.height()) {
        stored.resize_exact(width, height, filter)
    } else {
        stored
            .thumbnail_exact(coarse_width, coarse_height)
            .resize_exact(width, height, filter)
    }
}

fn on_white(picture: DynamicImage) -> image::RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    image::RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u16::from);
        image::Rgb([red, green, blue].map(|c| ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

/// Refuses a picture without pixels, or over the limits on sides and pixels.
fn check_size(kind: ImageKind, width: u32, height: u32) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::invalid(
            kind,
            format!("its header states {width} x {height} pixels"),
        ));
    }
    let size = || format!("{width} x {height} pixels");
    if width.max(height) > MAX_SIDE {
        return Err(ImageError::too_large(size(), format!("{MAX_SIDE} pixels a side")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::too_large(
            size(),
            format!("{} megapixels", MAX_PIXELS / 1_000_000),
        ));
    }
    Ok(())
}

/// Uses the PNG decoder directly: only that one can skip text chunks and color profiles.
fn decode_png(source: Source<'_>) -> Result<Picture, ImageError> {
    let limits = png::Limits {
        bytes: MAX_DECODER_BYTES as usize,
    };
    let mut decoder = png::Decoder::new_with_limits(source, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let (width, height) = decoder.read_header_info().map_err(png_error)?.size();
    check_size(ImageKind::Png, width, height)?;

    let mut reader = decoder.read_info().map_err(png_error)?;
    let info = reader.info();
    let palette_bytes = info.palette.as_deref().map_or(0, <[u8]>::len);
    // The decoder panics at a part of a color. It needs no palette for the other types.
    if info.color_type == png::ColorType::Indexed && palette_bytes % 3 != 0 {
        let reason = format!("its palette of {palette_bytes} bytes ends within a color");
        return Err(ImageError::invalid(ImageKind::Png, reason));
    }
    let bytes = reader
        .output_buffer_size()
        .filter(|&bytes| bytes as u64 <= MAX_DECODER_BYTES);
    let mut pixels = vec![0; bytes.ok_or_else(over_memory)?];
    let (color, _) = reader.output_color_type();
    reader.next_frame(&mut pixels).map_err(png_error)?;
    // Reading to the end detects a file that is truncated after its pixels. The orientation may be there too.
    reader.finish().map_err(png_error)?;

    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let stored = match color {
        png::ColorType::Grayscale => image::GrayImage::from_raw(width, height, pixels).map(Into::into),
        png::ColorType::GrayscaleAlpha => {
            image::GrayAlphaImage::from_raw(width, height, pixels).map(Into::into)
        }
        png::ColorType::Rgb => image::RgbImage::from_raw(width, height, pixels).map(Into::into),
        png::ColorType::Rgba => image::RgbaImage::from_raw(width, height, pixels).map(Into::into),
        png::ColorType::Indexed => None,
    };
    let stored = stored.ok_or_else(|| ImageError::invalid(ImageKind::Png, "its palette is missing"))?;
    Ok(Picture { stored, orientation })
}

fn png_error(error: png::DecodingError) -> ImageError {
    match error {
        png::DecodingError::LimitsExceeded => over_memory(),
        error => ImageError::invalid(ImageKind::Png, error),
    }
}

fn decode_webp(source: &Source<'_>) -> Result<Picture, ImageError> {
    let kind = ImageKind::WebP;
    let webp = webp::read(source.file());
    let webp = webp.ok_or_else(|| ImageError::invalid(kind, "a chunk is cut short or misplaced"))?;
    if let Some((width, height)) = webp.canvas {
        check_size(kind, width, height)?;
    }
    for frame in webp.lossy {
        let (width, height) = frame.size;
        check_size(kind, width, height)?;
        if frame.stated.is_some_and(|stated| stated != frame.size) {
            return Err(ImageError::invalid(kind, "the sizes of a frame differ"));
        }
    }
    for stream in webp.lossless {
        let (width, height) = stream.size;
        check_size(kind, width, height)?;
        vp8l::check_tables(source.part(stream.bytes), stream.size)?;
    }
    decode_other(source.part(webp.file), kind)
}

fn decode_other(source: Source<'_>, kind: ImageKind) -> Result<Picture, ImageError> {
    let failed = |error| decoder_error(error, kind);
    let mut reader = ImageReader::with_format(source, kind.format());
    // `check_size` checks the sides instead, since its error states the number.
    reader.no_limits();
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(kind, width, height)?;
    if decoder.total_bytes() > MAX_DECODER_BYTES {
        return Err(over_memory());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    decoder.set_limits(limits).map_err(failed)?;
    // An invalid EXIF block does not make the picture invalid.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let stored = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Picture { stored, orientation })
}

fn decoder_error(error: image::ImageError, kind: ImageKind) -> ImageError {
    match error {
        image::ImageError::Limits(_) => over_memory(),
        image::ImageError::Unsupported(_) => ImageError::Unsupported {
            found: format!("this variant of {kind}"),
        },
        error => ImageError::invalid(kind, error),
    }
}

fn over_memory() -> ImageError {
    ImageError::too_large("a decoded size", format!("{} MiB", MAX_DECODER_BYTES >> 20))
}
