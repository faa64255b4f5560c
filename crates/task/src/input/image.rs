//! The type and the sides of an image, from its first bytes.
//!
//! A worker's decoder decides what a file is; this module may only err to one side. A picture whose sides it states is never
//! larger for the decoder. So it follows the common layout of a file, and states no sides for any other: a JPEG has many
//! segments that one reader takes for the frame's header and another skips.

/// A supported type of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageType {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
}

fn image_type(head: &[u8]) -> Option<ImageType> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(ImageType::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Some(ImageType::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageType::WebP),
        [b'G', b'I', b'F', b'8', ..] => Some(ImageType::Gif),
        [b'B', b'M', ..] => Some(ImageType::Bmp),
        _ => None,
    }
}

/// The media type of a supported image.
pub(super) fn media_type(head: &[u8]) -> Option<&'static str> {
    Some(match image_type(head)? {
        ImageType::Jpeg => "image/jpeg",
        ImageType::Png => "image/png",
        ImageType::WebP => "image/webp",
        ImageType::Gif => "image/gif",
        ImageType::Bmp => "image/bmp",
    })
}

/// The longest side of what is decoded, in pixels. `None` if these bytes do not show it beyond doubt.
pub(super) fn longest_side(head: &[u8]) -> Option<u32> {
    let (width, height) = match image_type(head)? {
        ImageType::Jpeg => jpeg_sides(head)?,
        ImageType::Png => png_sides(head)?,
        ImageType::WebP => webp_sides(head)?,
        ImageType::Gif => gif_sides(head)?,
        ImageType::Bmp => bmp_sides(head)?,
    };
    Some(width.max(height))
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..)?.first_chunk().copied()
}

fn u16_le(head: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_le_bytes(bytes(head, at)?).into())
}

fn u16_be(head: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_be_bytes(bytes(head, at)?).into())
}

/// From the frame's header (ITU-T T.81, annex B), if only tables, comments and application data precede it, without a gap.
fn jpeg_sides(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker] = bytes(head, at)? else {
            return None;
        };
        let length = u16_be(head, at + 2)?;
        match marker {
            // Baseline, extended and progressive frames. A height of 0 would follow after the first scan.
            0xc0..=0xc2 => {
                let (height, width) = (u16_be(head, at + 5)?, u16_be(head, at + 7)?);
                return (height > 0).then_some((width, height));
            }
            // In a shorter application segment some decoders read beyond its end, and take what follows for another marker.
            0xe0..=0xef if length < 8 => return None,
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe if length >= 2 => at += 2 + length as usize,
            _ => return None,
        }
    }
}

/// From the first chunk, which is the image header.
fn png_sides(head: &[u8]) -> Option<(u32, u32)> {
    if head.get(8..16)? != b"\0\0\0\x0dIHDR" {
        return None;
    }
    let side = |at| Some(u32::from_be_bytes(bytes(head, at)?));
    Some((side(16)?, side(20)?))
}

/// From the first chunk (RFC 9649). The canvas of an extended file contains all its frames.
fn webp_sides(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        // The upper two bits scale the picture for display.
        b"VP8 " => Some((u16_le(head, 26)? & 0x3fff, u16_le(head, 28)? & 0x3fff)),
        b"VP8L" => {
            let sides = u32::from_le_bytes(bytes(head, 21)?);
            Some(((sides & 0x3fff) + 1, (sides >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let side = |at| {
                let [low, middle, high] = bytes(head, at)?;
                Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
            };
            Some((side(24)?, side(27)?))
        }
        _ => None,
    }
}

/// The longer of the screen's and the first frame's sides. The frame is decoded whole, also where it exceeds the screen.
fn gif_sides(head: &[u8]) -> Option<(u32, u32)> {
    let screen = (u16_le(head, 6)?, u16_le(head, 8)?);
    let flags = head.get(10)?;
    let palette_bytes = if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    };
    let mut at = 13 + palette_bytes;
    loop {
        match head.get(at)? {
            0x2c => {
                let frame = (u16_le(head, at + 5)?, u16_le(head, at + 7)?);
                return Some((screen.0.max(frame.0), screen.1.max(frame.1)));
            }
            0x21 => {
                // A label, then blocks with their length, up to one of length 0.
                at += 2;
                while let length @ 1.. = usize::from(*head.get(at)?) {
                    at += 1 + length;
                }
                at += 1;
            }
            _ => return None,
        }
    }
}

/// From the header of a known length: two lengths of integers for the sides exist. Rows from the top down have a negative
/// height.
fn bmp_sides(head: &[u8]) -> Option<(u32, u32)> {
    match u32::from_le_bytes(bytes(head, 14)?) {
        12 => Some((u16_le(head, 18)?, u16_le(head, 20)?)),
        40 | 52 | 56 | 108 | 124 => {
            let side = |at| Some(i32::from_le_bytes(bytes(head, at)?).unsigned_abs());
            Some((side(18)?, side(22)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
