use std::io::Cursor;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::testing::*;

mod interrupt;
mod jpeg;
mod jpeg_frames;
mod png_chunks;
mod webp;

fn refusal(file: &[u8]) -> ImageError {
    match Picture::decode(file) {
        Ok(picture) => panic!("accepted: {:?}", picture.size()),
        Err(error) => error,
    }
}

/// The color in the middle of each quarter, thresholded: upper left, upper right, lower left, lower right.
fn quarters(picture: &Picture) -> [[bool; 3]; 4] {
    let (width, height) = picture.size();
    let upright = picture.upright(width, height);
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let pixel = upright.get_pixel(width * x / 4, height * y / 4);
        pixel.0.map(|channel| channel > 128)
    })
}

const RED: [bool; 3] = [true, false, false];
const GREEN: [bool; 3] = [false, true, false];
const BLUE: [bool; 3] = [false, false, true];
const YELLOW: [bool; 3] = [true, true, false];
const WHITE: [bool; 3] = [true, true, true];

#[test]
fn every_kind_is_detected_by_its_content_and_decoded() {
    for kind in KINDS {
        let file = encode(&corners(24, 16), kind);
        assert_eq!(sniff(&file), Ok(kind));
        let picture = Picture::decode(&file).unwrap();
        assert_eq!(picture.size(), (24, 16), "{kind}");
        assert_eq!(quarters(&picture), [RED, GREEN, BLUE, YELLOW], "{kind}");
    }
    assert_eq!(quarters(&Picture::decode(LOSSY_WEBP).unwrap()), [RED; 4]);
}

/// Found by fuzzing: a GIF's screen may have a height of 0 though its frame has pixels.
#[test]
fn picture_without_pixels_is_refused() {
    let mut file = encode(&corners(8, 6), ImageKind::Gif);
    // The screen's height.
    file[8..10].fill(0);
    let error = refusal(&file);
    assert!(matches!(error, ImageError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("8 x 0 pixels"), "{error}");
}

#[test]
fn file_of_another_type_is_unsupported() {
    let files: [&[u8]; 8] = [
        b"",
        b"GIF",
        b"hello, this is text",
        b"II*\0\x08\0\0\0",
        b"\0\0\0\x20ftypavif\0\0\0\0",
        b"\0\0\x01\0\x01\0",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"%PDF-1.7",
    ];
    for file in files {
        let error = refusal(file);
        assert!(matches!(error, ImageError::Unsupported { .. }), "{error}");
        assert!(
            error.to_string().contains("send a JPEG, PNG, WebP, GIF or BMP"),
            "{error}"
        );
    }
}

#[test]
fn picture_that_claims_to_be_huge_is_refused_at_once() {
    for (name, file) in huge_files() {
        let start = Instant::now();
        let error = refusal(&file);
        assert!(matches!(error, ImageError::TooLarge { .. }), "{name}: {error}");
        // A refusal takes far less time, and decoding any of these files would take longer.
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{name}: {:?}",
            start.elapsed()
        );
    }
    let error = refusal(&hollow_png(60_000, 60_000)).to_string();
    assert!(
        error.contains("60000 x 60000 pixels") && error.contains("16384 pixels a side"),
        "{error}"
    );
}

#[test]
fn file_over_the_limit_of_bytes_is_refused() {
    let mut file = encode(&corners(8, 8), ImageKind::Jpeg);
    file.resize(MAX_BYTES + 1, 0);
    let error = refusal(&file);
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("52428800 bytes"), "{error}");
}

#[test]
fn truncated_file_is_invalid() {
    for kind in KINDS {
        let file = encode(&corners(40, 30), kind);
        for length in 16..file.len() {
            // A GIF is a stream: the first frame is whole without its end code and trailer.
            if kind == ImageKind::Gif && length >= file.len() - 4 {
                continue;
            }
            let error = Picture::decode(&file[..length]).err();
            assert!(
                matches!(error, Some(ImageError::Invalid { .. })),
                "{kind} at {length} of {}: {error:?}",
                file.len()
            );
        }
    }
    for length in 16..LOSSY_WEBP.len() - 2 {
        let error = refusal(&LOSSY_WEBP[..length]);
        assert!(matches!(error, ImageError::Invalid { .. }), "{error}");
    }
    let error = refusal(&test_file("astronaut.png")[..400_000]);
    assert!(
        error
            .to_string()
            .starts_with("the PNG image is damaged or cut short"),
        "{error}"
    );
}

#[test]
fn uncommon_valid_pictures_are_decoded() {
    // CMYK, which print shops use, and gray.
    assert_eq!(Picture::decode(&hollow_jpeg(8, 8, 4)).unwrap().size(), (8, 8));
    assert_eq!(Picture::decode(&hollow_jpeg(8, 8, 1)).unwrap().size(), (8, 8));
    let png = |picture: DynamicImage| {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, ImageFormat::Png).unwrap();
        quarters(&Picture::decode(&file.into_inner()).unwrap())
    };
    let expected = [RED, GREEN, BLUE, YELLOW];
    assert_eq!(png(corners(16, 16).to_rgb16().into()), expected);
    assert_eq!(png(corners(16, 16).to_rgba16().into()), expected);
    assert_eq!(
        png(image::GrayAlphaImage::from_pixel(4, 4, image::LumaA([255, 255])).into()),
        [WHITE; 4]
    );
    // Transparent pixels are white, whatever their color.
    assert_eq!(
        png(image::RgbaImage::from_pixel(4, 4, image::Rgba([200, 0, 0, 0])).into()),
        [WHITE; 4]
    );

    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 4, 4);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![250, 0, 0, 0, 250, 0]);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&[0b0000_0101; 4])
        .unwrap();
    assert_eq!(
        quarters(&Picture::decode(&file).unwrap()),
        [RED, GREEN, RED, GREEN]
    );
}

#[test]
fn extreme_shapes_can_be_scaled() {
    for (width, height) in [(1, 1), (MAX_SIDE, 1), (1, MAX_SIDE), (3, 2)] {
        let picture = Picture::decode(&encode(&corners(width, height), ImageKind::Png)).unwrap();
        assert_eq!(picture.size(), (width, height));
        assert_eq!(picture.upright(640, 1).dimensions(), (640, 1));
        assert_eq!(picture.upright(1, 640).dimensions(), (1, 640));
    }
}

#[test]
fn animation_gives_its_first_frame() {
    let frame = |picture: DynamicImage| picture.to_rgba8();
    let blank = DynamicImage::new_rgb8(16, 16);
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    let frames = [frame(corners(16, 16)), frame(blank)].map(image::Frame::new);
    encoder.encode_frames(frames).unwrap();
    drop(encoder);
    assert_eq!(
        quarters(&Picture::decode(&gif).unwrap()),
        [RED, GREEN, BLUE, YELLOW]
    );

    // The header of a frame of 16 x 16 at the origin.
    let head = [&[0; 6][..], &[15, 0, 0, 15, 0, 0, 100, 0, 0, 0]].concat();
    let webp_frame = |picture: &DynamicImage| {
        let body = encode(picture, ImageKind::WebP)[12..].to_vec();
        webp_chunk(b"ANMF", &[head.clone(), body].concat())
    };
    let chunks = [
        webp_chunk(b"ANIM", &[0; 6]),
        webp_frame(&corners(16, 16)),
        webp_frame(&DynamicImage::new_rgb8(16, 16)),
    ];
    let webp = extended_webp(2, (16, 16), &chunks);
    assert_eq!(
        quarters(&Picture::decode(&webp).unwrap()),
        [RED, GREEN, BLUE, YELLOW]
    );
}

#[test]
fn exif_orientation_is_applied() {
    let jpeg = encode(&corners(32, 16), ImageKind::Jpeg);
    let upright = [
        (1, [RED, GREEN, BLUE, YELLOW]),
        (2, [GREEN, RED, YELLOW, BLUE]),
        (3, [YELLOW, BLUE, GREEN, RED]),
        (4, [BLUE, YELLOW, RED, GREEN]),
        (5, [RED, BLUE, GREEN, YELLOW]),
        (6, [BLUE, RED, YELLOW, GREEN]),
        (7, [YELLOW, GREEN, BLUE, RED]),
        (8, [GREEN, YELLOW, RED, BLUE]),
    ];
    for (orientation, expected) in upright {
        let picture = Picture::decode(&oriented_jpeg(&jpeg, orientation)).unwrap();
        assert_eq!(picture.size(), if orientation < 5 { (32, 16) } else { (16, 32) });
        assert_eq!(quarters(&picture), expected, "JPEG {orientation}");

        let lossless = &encode(&corners(32, 16), ImageKind::WebP)[12..];
        let webp = extended_webp(
            8,
            (32, 16),
            &[lossless.to_vec(), webp_chunk(b"EXIF", &exif(orientation))],
        );
        assert_eq!(
            quarters(&Picture::decode(&webp).unwrap()),
            expected,
            "WebP {orientation}"
        );

        let mut png = encode(&corners(32, 16), ImageKind::Png);
        let end = png.split_off(png.len() - 12);
        let mut chunk = Vec::new();
        let mut writer = png::Encoder::new(&mut chunk, 1, 1).write_header().unwrap();
        writer.write_chunk(png::chunk::eXIf, &exif(orientation)).unwrap();
        drop(writer);
        // The chunk is after the other file's signature and header (8 + 25 bytes), and before its end (12).
        png.extend(&chunk[33..chunk.len() - 12]);
        png.extend(end);
        assert_eq!(
            quarters(&Picture::decode(&png).unwrap()),
            expected,
            "PNG {orientation}"
        );
    }
    // An invalid orientation is ignored.
    assert_eq!(
        quarters(&Picture::decode(&oriented_jpeg(&jpeg, 77)).unwrap()),
        [RED, GREEN, BLUE, YELLOW]
    );
}

#[test]
fn large_picture_within_the_limits_is_decoded() {
    // 49 megapixels in 6 kB.
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 7_000, 7_000);
    encoder.set_depth(png::BitDepth::One);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&vec![0; 875 * 7_000])
        .unwrap();
    let picture = Picture::decode(&file).unwrap();
    assert_eq!(picture.upright(640, 640).dimensions(), (640, 640));
}

#[test]
fn a_jpeg_of_thousands_of_segments_is_refused_before_it_is_decoded() {
    let segment = |marker: u8, body: &[u8]| {
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker][..], &length, body].concat()
    };
    // A part of long metadata whose whole never comes, which the decoder looks for after each further segment.
    let part = segment(
        0xe1,
        &[
            &b"http://ns.adobe.com/xmp/extension/\0"[..],
            &[b'0'; 32],
            &[0xff; 4],
            &[0; 5],
        ]
        .concat(),
    );
    let profile = segment(0xe2, b"ICC_PROFILE\0\x01\xff ");
    let empty = segment(0xe0, b"");
    let picture = hollow_jpeg(16, 16, 3);
    let own = 6;
    for (name, segment) in [("metadata", &part), ("profile", &profile), ("empty", &empty)] {
        let with = |segments: usize| {
            let file = [&picture[..2], &segment.repeat(segments), &picture[2..]].concat();
            Picture::decode(&file).map(drop)
        };
        assert!(with(4_096 - own).is_ok(), "{name}: {:?}", with(4_096 - own));
        let refused = with(4_097 - own).unwrap_err().to_string();
        assert!(refused.contains("more than 4096 segments"), "{name}: {refused}");
    }
}

/// The decoder takes markers that have no segment for segments.
#[test]
fn a_jpeg_with_a_misplaced_marker_before_its_first_scan_is_refused() {
    let picture = hollow_jpeg(16, 16, 3);
    let frame = picture.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for marker in [0x00, 0x01, 0xd0, 0xd7, 0xd8, 0xd9] {
        for hidden in [
            &[0x00, 0x04, 0xff, 0xd9][..],
            &[0x00, 0x06, 0xff, 0xec, 0xff, 0xff],
        ] {
            for at in [2, frame] {
                let file = [&picture[..at], &[0xff, marker], hidden, &picture[at..]].concat();
                let refused = Picture::decode(&file).unwrap_err().to_string();
                assert!(refused.contains("misplaced"), "{marker:x} at {at}: {refused}");
            }
        }
    }
    let short = [&picture[..2], &[0xff, 0xe0, 0, 1], &picture[2..]].concat();
    assert!(Picture::decode(&short).is_err());
    // Bytes of filling may stand before a marker.
    let filled = [&picture[..2], &[0xff, 0xff], &picture[2..]].concat();
    assert!(Picture::decode(&filled).is_ok());
}

#[test]
fn metadata_that_hides_behind_the_first_scan_counts() {
    let picture = hollow_jpeg(16, 16, 3);
    let end = picture.len() - 2;
    let part = [&[0xff, 0xe1, 0, 6][..], &[b'x'; 4]].concat();
    // What follows the restart marker is coded data for the check, and a segment for the decoder.
    let hiding = [0xff, 0xd0, 0x00, 0x06, 0xff, 0xec, 0xff, 0xff];
    let file = [&picture[..end], &hiding, &part.repeat(10_000), &picture[end..]].concat();
    let refused = Picture::decode(&file).unwrap_err().to_string();
    assert!(refused.contains("more than 4096 segments"), "{refused}");
    // What follows the end is not decoded.
    let after = [&picture[..], &part.repeat(10_000)].concat();
    assert!(Picture::decode(&after).is_ok());
}

/// Decodes, and fails if the decoder panics.
fn decode_or_refuse(file: &[u8]) {
    match Picture::decode(file) {
        Ok(picture) => drop(picture.upright(64, 64)),
        Err(error) => assert!(!error.to_string().contains(DECODER_PANICKED), "{error}"),
    }
}

fn valid_files() -> Vec<Vec<u8>> {
    let mut files: Vec<_> = KINDS.iter().map(|&kind| encode(&corners(33, 17), kind)).collect();
    files.push(LOSSY_WEBP.to_vec());
    files.push(hollow_jpeg(8, 8, 4));
    files.push(hollow_gif((4, 4), (2, 2)));
    files.push(oriented_jpeg(&encode(&corners(9, 9), ImageKind::Jpeg), 6));
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_file_does_not_panic(
        pick in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        remaining in 0.0..1.3_f64,
    ) {
        let files = valid_files();
        let mut file = pick.get(&files).clone();
        for (at, value) in flips {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate((file.len() as f64 * remaining) as usize);
        decode_or_refuse(&file);
    }

    #[test]
    fn random_bytes_do_not_panic(
        head in prop::sample::select(vec![
            &b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"GIF89a", b"BM",
            b"RIFF\x40\0\0\0WEBPVP8X", b"RIFF\x40\0\0\0WEBPVP8L", b"RIFF\x40\0\0\0WEBPVP8 ",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        decode_or_refuse(&[head, &noise].concat());
    }
}
