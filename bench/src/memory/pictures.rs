//! Pictures of the maximum size, in each format and in the layout that takes its decoder the most memory.
//!
//! Their pixels hardly matter for memory, so most are of one color, which is quick to write.

use std::io::Cursor;

use anyhow::Result;
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage, RgbaImage};

/// The sides of the largest accepted picture, in pixels: just under 50 megapixels.
const LARGEST: (u32, u32) = (8_660, 5_773);

/// A picture of the largest size, tiled from another one.
pub(super) fn tiled(file: &[u8], format: ImageFormat) -> Result<Vec<u8>> {
    let (width, height) = LARGEST;
    let tile = image::load_from_memory(file)?
        .resize(width / 4, height / 4, FilterType::Triangle)
        .into_rgb8();
    let mut picture = RgbImage::new(width, height);
    for x in (0..width).step_by(tile.width() as usize) {
        for y in (0..height).step_by(tile.height() as usize) {
            image::imageops::replace(&mut picture, &tile, x.into(), y.into());
        }
    }
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// A half transparent picture with four channels.
pub(super) fn transparent(format: ImageFormat) -> Result<Vec<u8>> {
    let (width, height) = LARGEST;
    let picture = RgbaImage::from_pixel(width, height, image::Rgba([90, 160, 20, 128]));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// A picture of these sides whose file is as large as possible below `max_bytes`: bytes without a pattern.
pub(super) fn noise((width, height): (u32, u32), max_bytes: usize) -> Result<Vec<u8>> {
    let mut state = 1_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let rows = (max_bytes / (3 * width as usize)).min(height as usize) as u32;
    let mut picture = RgbImage::new(width, height);
    for (_, _, pixel) in picture.enumerate_pixels_mut().take((rows * width) as usize) {
        pixel.0.copy_from_slice(&random()[..3]);
    }
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

/// A progressive JPEG with this many components (ITU-T T.81): its decoder stores the coefficients of the whole picture. The
/// only scan has the DC coefficients, which are all the same.
pub(super) fn progressive_jpeg(components: u8) -> Vec<u8> {
    let (width, height) = LARGEST;
    let [width_high, width_low] = (width as u16).to_be_bytes();
    let [height_high, height_low] = (height as u16).to_be_bytes();
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((body.len() as u16 + 2).to_be_bytes());
        file.extend(body);
    };
    // One quantization table of ones.
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let ids = 1..=components;
    let mut frame = vec![8, height_high, height_low, width_high, width_low, components];
    frame.extend(ids.clone().flat_map(|id| [id, 0x11, 0]));
    segment(0xc2, &frame);
    // One Huffman table with one code, `0` for no difference.
    let mut table = [0; 18];
    table[1] = 1;
    segment(0xc4, &table);
    let mut scan = vec![components];
    scan.extend(ids.flat_map(|id| [id, 0]));
    scan.extend([0, 0, 0]);
    segment(0xda, &scan);
    let blocks = width.div_ceil(8) as usize * height.div_ceil(8) as usize * usize::from(components);
    file.resize(file.len() + blocks.div_ceil(8), 0);
    file.extend([0xff, 0xd9]);
    file
}

fn webp_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((body.len() as u32).to_le_bytes());
    chunk.extend(body);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// An animated WebP of one transparent frame (RFC 9649): its decoder has the canvas besides the frame.
pub(super) fn animated_webp() -> Result<Vec<u8>> {
    let still = transparent(ImageFormat::WebP)?;
    // After the file's header come the frame's chunks: here the lossless picture.
    Ok(animated(&still[12..]))
}

/// An animated WebP of one frame with as many prefix codes as are accepted.
pub(super) fn webp_of_codes() -> Vec<u8> {
    animated(&webp_chunk(b"VP8L", &lossless_of_codes()))
}

fn animated(picture: &[u8]) -> Vec<u8> {
    let (width, height) = LARGEST;
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let sides = [side(width), side(height)].concat();
    // It is at the upper left, for a second.
    let frame = [&[0; 6], &sides[..], &[232, 3, 0, 0], picture].concat();
    let chunks = [
        // Animated, with alpha.
        webp_chunk(b"VP8X", &[&[0x12, 0, 0, 0][..], &sides].concat()),
        webp_chunk(b"ANIM", &[0; 6]),
        webp_chunk(b"ANMF", &frame),
    ]
    .concat();
    webp_chunk(b"RIFF", &[b"WEBP", &chunks[..]].concat())
}

/// A lossless stream (RFC 9649) of pixels of one color. The decoder builds the tables of all groups of codes, though the pixels
/// use the last one only.
fn lossless_of_codes() -> Vec<u8> {
    /// Of 70 kB each, these take just under the 128 MiB that are accepted.
    const GROUPS: u32 = 1_890;
    let (width, height) = LARGEST;
    let (mut stream, mut buffer, mut buffered) = (Vec::new(), 0_u64, 0);
    let mut write = |bits: u32, count: u32| {
        buffer |= u64::from(bits) << buffered;
        buffered += count;
        while buffered >= 8 {
            stream.push(buffer as u8);
            buffer >>= 8;
            buffered -= 8;
        }
    };
    // The signature, the sides, and that it is transparent.
    write(0x2f, 8);
    write(width - 1, 14);
    write(height - 1, 14);
    write(1, 4);
    // No transform, and a cache of 2,048 colors, which are symbols of each group's first code.
    write(0, 1);
    write(1, 1);
    write(11, 4);
    // Each block of 512 x 512 pixels has the last group: a code of one symbol for each channel and the distances.
    write(1, 1);
    write(7, 3);
    write(0, 1);
    for symbol in [(GROUPS - 1) & 0xff, (GROUPS - 1) >> 8, 0, 0, 0] {
        write(0b101, 3);
        write(symbol, 8);
    }
    for _ in 1..GROUPS {
        // The first 2,048 symbols have the only length, 11, which is the last of 15 that the code of lengths has.
        write(0, 1);
        write(15 - 4, 4);
        (0..15).for_each(|place| write(u32::from(place == 14), 3));
        write(1, 1);
        write(5, 3);
        write(2_048 - 2, 12);
        (0..4).for_each(|_| write(0b0001, 4));
    }
    (0..5).for_each(|_| write(0b0001, 4));
    write(0, 7);
    stream
}

/// A bitmap with one bit per pixel, the only depth at which so many pixels fit into a file.
pub(super) fn bitmap() -> Vec<u8> {
    const HEAD_BYTES: u32 = 14 + 40 + 8;
    let (width, height) = LARGEST;
    let pixels = width.div_ceil(32) * 4 * height;
    let mut file = b"BM".to_vec();
    for value in [HEAD_BYTES + pixels, 0, HEAD_BYTES, 40, width, height] {
        file.extend(value.to_le_bytes());
    }
    // One plane, one bit.
    file.extend([1, 0, 1, 0]);
    for value in [0, pixels, 0, 0, 2, 0] {
        file.extend(value.to_le_bytes());
    }
    // Black and white.
    file.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    file.resize(file.len() + pixels as usize, 0b1010_1010);
    file
}

/// A GIF, uncompressed: after each clear code of its LZW (3 bits) come two pixels.
pub(super) fn gif() -> Vec<u8> {
    const CLEAR: u32 = 4;
    const END: u32 = 5;
    let (width, height) = LARGEST;
    let mut file = b"GIF89a".to_vec();
    let sides = [(width as u16).to_le_bytes(), (height as u16).to_le_bytes()].concat();
    file.extend(&sides);
    // A palette of two colors.
    file.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    file.extend([0x2c, 0, 0, 0, 0]);
    file.extend(&sides);
    file.extend([0, 2]);
    let codes = (0..width * height).step_by(2).flat_map(|_| [CLEAR, 0, 1]);
    let mut bits = 0;
    let mut used = 0;
    let mut data = Vec::new();
    for code in codes.chain([END]) {
        bits |= code << used;
        used += 3;
        while used >= 8 {
            data.push(bits as u8);
            bits >>= 8;
            used -= 8;
        }
    }
    data.push(bits as u8);
    for block in data.chunks(255) {
        file.push(block.len() as u8);
        file.extend(block);
    }
    file.extend([0, 0x3b]);
    file
}

/// The file, followed by zeros up to the maximum file size. Decoders ignore what follows a picture.
pub(super) fn padded(mut file: Vec<u8>) -> Vec<u8> {
    file.resize(mesh_task::MAX_MEDIA_BYTES, 0);
    file
}
