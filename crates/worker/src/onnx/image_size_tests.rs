//! A task's size is estimated from the first bytes of its image. If the decoder finds a larger picture there, it delays the
//! small tasks that wait for the same worker.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use mesh_models::ImageError;
use mesh_models::image::Picture;
use mesh_task::{Content, Size};
use proptest::prelude::*;

const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
];

fn encode(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn size(file: &[u8]) -> Size {
    Content::Image(file.to_vec()).size()
}

/// The longest side for the decoder.
fn decoded_side(file: &[u8]) -> Result<u32, ImageError> {
    let (width, height) = Picture::decode(file)?.size();
    Ok(width.max(height))
}

/// A JPEG with these bytes between its first segment and its tables and frame.
fn jpeg_with(inserted: &[u8]) -> Vec<u8> {
    let jpeg = encode(1_001, 8, ImageFormat::Jpeg);
    let (first, rest) = jpeg.split_at(20);
    assert_eq!(first[2..6], [0xff, 0xe0, 0, 16]);
    [first, inserted, rest].concat()
}

/// The header of a frame of 16 x 16 pixels, behind this marker.
fn small_frame(marker: u8) -> Vec<u8> {
    vec![0xff, marker, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0]
}

#[test]
fn sides_up_to_1000_pixels_are_small_in_each_format() {
    for format in FORMATS {
        for (width, height) in [(1_000, 1), (1, 1_000)] {
            assert_eq!(size(&encode(width, height, format)), Size::Small, "{format:?}");
        }
        for (width, height) in [(1_001, 1), (1, 1_001)] {
            let file = encode(width, height, format);
            assert_eq!(decoded_side(&file), Ok(1_001), "{format:?}");
            assert_eq!(size(&file), Size::Large, "{format:?}");
        }
    }
}

#[test]
fn a_jpeg_that_the_decoder_reads_otherwise_is_large() {
    for inserted in [
        small_frame(0xc5),
        small_frame(0xc7),
        small_frame(0xc9),
        small_frame(0xcd),
        vec![0xff; 300],
        b"junk before a frame".to_vec(),
        [&b"junk"[..], &small_frame(0xc5)].concat(),
    ] {
        let file = jpeg_with(&inserted);
        if let Ok(side) = decoded_side(&file) {
            assert_eq!(side, 1_001, "{inserted:x?}");
        }
        assert_eq!(size(&file), Size::Large, "{inserted:x?}");
    }
    // Most of these are pictures for the decoder.
    assert_eq!(decoded_side(&jpeg_with(&small_frame(0xc5))), Ok(1_001));
    assert_eq!(decoded_side(&jpeg_with(&[0xff; 300])), Ok(1_001));
    assert_eq!(decoded_side(&jpeg_with(b"junk before a frame")), Ok(1_001));
}

#[test]
fn other_files_that_hide_their_size_are_large() {
    let mut gif = encode(2_000, 1, ImageFormat::Gif);
    // The screen's width. The decoder still decodes the whole frame.
    gif[6..8].copy_from_slice(&[1, 0]);
    assert_eq!(size(&gif), Size::Large);

    let mut bitmap = encode(1, 1_001, ImageFormat::Bmp);
    // Rows from the top down.
    let height: i32 = -1_001;
    bitmap[22..26].copy_from_slice(&height.to_le_bytes());
    assert_eq!(decoded_side(&bitmap), Ok(1_001));
    assert_eq!(size(&bitmap), Size::Large);

    let png = encode(1_001, 1, ImageFormat::Png);
    // A text chunk before the header, which has small sides where the header has its own.
    let text = [&b"\0\0\0\x0dtEXt\0\0\0\x01\0\0\0\x01"[..], &[0; 9]].concat();
    assert_eq!(size(&[&png[..8], &text, &png[8..]].concat()), Size::Large);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_small_file_is_no_larger_for_the_decoder(
        format in prop::sample::select(FORMATS.to_vec()),
        place in 0..80_usize,
        bytes in prop::collection::vec(any::<u8>(), 1..3),
    ) {
        let mut file = encode(1_001, 1, format);
        let place = place.min(file.len() - bytes.len());
        file[place..place + bytes.len()].copy_from_slice(&bytes);
        if size(&file) == Size::Small {
            prop_assert!(decoded_side(&file).is_ok_and(|side| side <= 1_000) || decoded_side(&file).is_err());
        }
    }

    #[test]
    fn a_small_jpeg_is_no_larger_for_the_decoder(
        parts in prop::collection::vec(
            prop_oneof![
                (0xc0..=0xff_u8).prop_map(small_frame),
                prop::collection::vec(prop::sample::select(vec![0, 1, 8, 0xff, 0xc0, 0xd8, 0xda, 0xe0]), 1..8),
                (0xc0..=0xff_u8, 0..9_u8).prop_map(|(marker, length)| vec![0xff, marker, 0, length, 0, 0]),
            ],
            0..4,
        ),
    ) {
        let file = jpeg_with(&parts.concat());
        if let Ok(side) = decoded_side(&file) {
            prop_assert!(side <= 1_000 || size(&file) == Size::Large, "{parts:x?}");
        }
    }
}
