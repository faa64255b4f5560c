//! Shared test data: the assets, pictures, and image files that no encoder would write.

use std::io::Cursor;
use std::path::PathBuf;

use image::{DynamicImage, ImageFormat};

use crate::image::ImageKind;

/// The assets' folder: `AI_MESH_ASSETS`, or the one that `cargo xtask models` built.
pub(crate) fn assets() -> PathBuf {
    match std::env::var_os("AI_MESH_ASSETS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.local/assets")),
    }
}

/// A file of the assets' test data: a photo or a recording.
pub(crate) fn test_file(name: &str) -> Vec<u8> {
    let path = assets().join("testdata").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask models`", path.display()))
}

pub(crate) const KINDS: [ImageKind; 5] = [
    ImageKind::Jpeg,
    ImageKind::Png,
    ImageKind::WebP,
    ImageKind::Gif,
    ImageKind::Bmp,
];

/// The picture as a valid file of this kind.
pub(crate) fn encode(picture: &DynamicImage, kind: ImageKind) -> Vec<u8> {
    let format = ImageFormat::from_mime_type(kind.content_type()).unwrap();
    let mut file = Cursor::new(Vec::new());
    // Not every encoder supports an alpha channel, and none of the pictures needs one.
    picture.to_rgb8().write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A picture whose quarters are red, green, blue and yellow.
pub(crate) fn corners(width: u32, height: u32) -> DynamicImage {
    let color = |x: u32, y: u32| match (x * 2 < width, y * 2 < height) {
        (true, true) => [250, 10, 10],
        (false, true) => [10, 250, 10],
        (true, false) => [10, 10, 250],
        (false, false) => [250, 250, 10],
    };
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb(color(x, y))).into()
}

/// A JPEG whose header states this size and number of components, with data for 16 x 16 pixels only.
pub(crate) fn hollow_jpeg(width: u16, height: u16, components: u8) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((body.len() as u16 + 2).to_be_bytes());
        file.extend(body);
    };
    segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let [h1, h0] = height.to_be_bytes();
    let [w1, w0] = width.to_be_bytes();
    let frame = (1..=components).flat_map(|id| [id, 0x11, 0]);
    segment(
        0xc0,
        &[8, h1, h0, w1, w0, components]
            .into_iter()
            .chain(frame)
            .collect::<Vec<_>>(),
    );
    for table in [0x00, 0x10] {
        // A table with one code, the bit 0, for "no difference" and "end of block".
        segment(0xc4, &[&[table, 1][..], &[0; 16]].concat());
    }
    let scan = (1..=components).flat_map(|id| [id, 0]);
    segment(
        0xda,
        &[components]
            .into_iter()
            .chain(scan)
            .chain([0, 63, 0])
            .collect::<Vec<_>>(),
    );
    file.extend(vec![0; usize::from(components)]);
    file.extend([0xff, 0xd9]);
    file
}

/// A progressive JPEG of gray with this many scans, of a few bytes each.
pub(crate) fn jpeg_of_scans(width: u16, height: u16, scans: usize) -> Vec<u8> {
    let baseline = hollow_jpeg(width, height, 1);
    let frame = baseline.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let scan = baseline.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let mut file = baseline[..scan].to_vec();
    file[frame + 1] = 0xc2;
    let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8));
    for number in 0..scans {
        // The first coefficient, then all others again and again.
        let band = if number == 0 { [0, 0, 0] } else { [1, 63, 0] };
        file.extend([0xff, 0xda, 0, 8, 1, 1, 0]);
        file.extend(band);
        file.extend(vec![0; blocks.div_ceil(8)]);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// A BMP whose header states this size, with data for at most one row of pixels.
pub(crate) fn hollow_bmp(width: i32, height: i32) -> Vec<u8> {
    let mut file = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24 + 64]);
    file
}

/// A GIF whose screen and only frame have these sizes. The frame has no pixel data.
pub(crate) fn hollow_gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend([screen.0.to_le_bytes(), screen.1.to_le_bytes()].concat());
    file.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    file.extend([0x2c, 0, 0, 0, 0]);
    file.extend([frame.0.to_le_bytes(), frame.1.to_le_bytes()].concat());
    file.extend([0, 2, 2, 0x4c, 0x01, 0, 0x3b]);
    file
}

/// A PNG whose header states this size at 1 bit per pixel, with the first bytes of pixels only.
pub(crate) fn hollow_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_depth(png::BitDepth::One);
    encoder
        .write_header()
        .unwrap()
        .write_chunk(png::chunk::IDAT, b"\x78\x9c\x63\x00")
        .unwrap();
    file
}

/// A lossy WebP of 32 x 16 red pixels.
pub(crate) const LOSSY_WEBP: &[u8] = &[
    0x52, 0x49, 0x46, 0x46, 0x3e, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x20, 0x32,
    0x00, 0x00, 0x00, 0xd0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x20, 0x00, 0x10, 0x00, 0x3f, 0x71, 0xa0, 0xc6,
    0x58, 0xb4, 0xab, 0xa7, 0xa3, 0xb0, 0x08, 0x02, 0x90, 0x2e, 0x09, 0x40, 0x16, 0x9d, 0x05, 0xa4, 0x80,
    0x00, 0xfe, 0xdf, 0x7f, 0xed, 0xb1, 0x0b, 0x0f, 0xf1, 0x43, 0xcd, 0x6f, 0x60, 0xea, 0xe1, 0x61, 0x00,
    0x00, 0x00,
];

pub(crate) fn webp_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((body.len() as u32).to_le_bytes());
    chunk.extend(body);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// A WebP in the extended format with these flags, canvas size and chunks.
pub(crate) fn extended_webp(flags: u8, canvas: (u32, u32), chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut head = vec![flags, 0, 0, 0];
    head.extend(&(canvas.0 - 1).to_le_bytes()[..3]);
    head.extend(&(canvas.1 - 1).to_le_bytes()[..3]);
    let body = [b"WEBP".to_vec(), webp_chunk(b"VP8X", &head), chunks.concat()].concat();
    webp_chunk(b"RIFF", &body)
}

/// A lossless stream (RFC 9649) of black pixels, of which one block names the last of these groups of prefix codes. A group
/// takes 10 bytes of the stream, and 70 kB of the decoder's memory.
pub(crate) fn lossless_of_groups(width: u32, height: u32, groups: u32) -> Vec<u8> {
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
    write(0x2f, 8);
    write(width - 1, 14);
    write(height - 1, 14);
    write(0, 4);
    // No transform, and a color cache of 2,048 colors, whose symbols are in each group's first code.
    write(0, 1);
    write(1, 1);
    write(11, 4);
    // The entropy image has one pixel for 512 x 512: a code of one symbol for each channel and the distances.
    write(1, 1);
    write(7, 3);
    write(0, 1);
    for symbol in [(groups - 1) & 0xff, (groups - 1) >> 8, 0, 0, 0] {
        write(0b101, 3);
        write(symbol, 8);
    }
    for _ in 0..groups {
        // The first 2,048 symbols have 11 bits each, which is the only length. It is the last of these 15.
        write(0, 1);
        write(15 - 4, 4);
        for place in 0..15 {
            write(u32::from(place == 14), 3);
        }
        write(1, 1);
        write(5, 3);
        write(2_048 - 2, 12);
        for _ in 0..4 {
            write(0b0001, 4);
        }
    }
    for _ in 0..width * height {
        write(0, 11);
    }
    write(0, 7);
    stream
}

/// A lossless WebP of this stream.
pub(crate) fn lossless_webp(stream: &[u8]) -> Vec<u8> {
    webp_chunk(b"RIFF", &[b"WEBP".to_vec(), webp_chunk(b"VP8L", stream)].concat())
}

/// An EXIF block that contains only the orientation, 1 to 8.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// The JPEG with an EXIF block that states this orientation.
pub(crate) fn oriented_jpeg(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let body = [b"Exif\0\0".to_vec(), exif(orientation)].concat();
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &body, &jpeg[2..]].concat()
}

/// Small files that claim to be huge pictures, or would take as much memory.
pub(crate) fn huge_files() -> Vec<(&'static str, Vec<u8>)> {
    let lossy = webp_chunk(b"VP8 ", &LOSSY_WEBP[20..]);
    let mut huge_frame = lossy.clone();
    huge_frame[14..18].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let animation = [
        webp_chunk(b"ANIM", &[0; 6]),
        webp_chunk(b"ANMF", &[vec![0; 16], huge_frame.clone()].concat()),
    ];
    vec![
        ("PNG", hollow_png(60_000, 60_000)),
        ("JPEG", hollow_jpeg(60_000, 60_000, 3)),
        ("BMP", hollow_bmp(60_000, 60_000)),
        ("BMP from the top down", hollow_bmp(60_000, -60_000)),
        ("GIF", hollow_gif((60_000, 60_000), (60_000, 60_000))),
        (
            "GIF with a frame over its screen",
            hollow_gif((10, 10), (60_000, 60_000)),
        ),
        ("WebP", extended_webp(0, (60_000, 60_000), &[lossy])),
        (
            "WebP with a frame over its canvas",
            extended_webp(0, (32, 16), &[huge_frame]),
        ),
        (
            "animated WebP with such a frame",
            extended_webp(2, (32, 16), &animation),
        ),
        (
            "WebP with many codes",
            lossless_webp(&lossless_of_groups(4, 4, 65_536)),
        ),
        ("PNG, wide", hollow_png(20_000, 1)),
        ("PNG, tall", hollow_png(1, 4_000_000_000)),
        ("PNG over 50 megapixels", hollow_png(8_000, 7_000)),
    ]
}

/// A committed audio file: "Ever tried, ever failed", cut from beckett.wav.
pub(crate) fn clip(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/speech/testdata");
    std::fs::read(PathBuf::from(folder).join(name)).unwrap()
}

/// The format tag of integer samples in a WAV file.
pub(crate) const PCM: u16 = 1;

/// A WAV file with this format and data.
pub(crate) fn riff(format: u16, bits: u16, rate: u32, channels: u16, data: &[u8]) -> Vec<u8> {
    let align = channels * bits.div_ceil(8);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend([format, channels].map(u16::to_le_bytes).concat());
    file.extend([rate, rate * u32::from(align)].map(u32::to_le_bytes).concat());
    file.extend([align, bits].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A WAV file with these samples in every channel.
pub(crate) fn wav_of(format: u16, bits: u16, rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let mut data = Vec::new();
    for sample in samples {
        let scaled = (f64::from(*sample) * f64::from(1_u32 << (bits - 1))) as i32;
        let bytes = scaled.to_le_bytes();
        for _ in 0..channels {
            match bits {
                8 => data.push((scaled + 128) as u8),
                _ => data.extend(&bytes[..usize::from(bits / 8)]),
            }
        }
    }
    riff(format, bits, rate, channels, &data)
}

/// A WAV file with one channel of 16-bit samples.
pub(crate) fn wav(rate: u32, samples: &[f32]) -> Vec<u8> {
    wav_of(PCM, 16, rate, 1, samples)
}
