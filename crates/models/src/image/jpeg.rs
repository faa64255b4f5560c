//! Decodes a JPEG. The crate `image` has the same decoder, but gives it the whole file at once, so that nothing could end it:
//! each of a progressive JPEG's 100 scans may take a second.

mod segments;

use image::metadata::Orientation;
use image::{GrayImage, RgbImage};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use self::segments::Defect;
use super::{ImageError, ImageKind, MAX_SIDE, Picture, check_size};
use crate::source::Source;

/// Decodes a file whose type was detected.
pub(super) fn decode(source: Source<'_>) -> Result<Picture, ImageError> {
    let checked = segments::check(source.file()).map_err(|defect| match defect {
        Defect::Frame(defect) => unsupported(defect),
        defect => ImageError::invalid(ImageKind::Jpeg, defect),
    })?;
    decode_checked(source.part(checked))
}

pub(super) fn decode_checked(source: Source<'_>) -> Result<Picture, ImageError> {
    // Not strict: like browsers, it takes a file that has small errors.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(source, options);
    decoder.decode_headers().map_err(|error| failed(&error))?;
    let side = |side: usize| u32::try_from(side).unwrap_or(MAX_SIDE + 1);
    let (width, height) = decoder
        .dimensions()
        .map(|(width, height)| (side(width), side(height)))
        .unwrap_or_default();
    check_size(ImageKind::Jpeg, width, height)?;
    let is_gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colors = if is_gray {
        ColorSpace::Luma
    } else {
        ColorSpace::RGB
    };
    let options = decoder.options().jpeg_set_out_colorspace(colors);
    decoder.set_options(options);
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let pixels = decoder.decode().map_err(|error| failed(&error))?;
    let stored = if is_gray {
        GrayImage::from_raw(width, height, pixels).map(Into::into)
    } else {
        RgbImage::from_raw(width, height, pixels).map(Into::into)
    };
    let stored = stored.ok_or_else(|| ImageError::invalid(ImageKind::Jpeg, "its pixels are missing"))?;
    Ok(Picture { stored, orientation })
}

fn failed(error: &DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::Unsupported(_) => unsupported("this variant of JPEG"),
        error => ImageError::invalid(ImageKind::Jpeg, error),
    }
}

fn unsupported(found: impl ToString) -> ImageError {
    ImageError::Unsupported {
        found: found.to_string(),
    }
}
