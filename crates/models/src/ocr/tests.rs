use std::sync::LazyLock;

use image::{DynamicImage, GenericImage, GenericImageView, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::image::ImageKind;
use crate::testing::*;

static MODEL: LazyLock<OcrModel> = LazyLock::new(|| OcrModel::load(&assets()).unwrap());

const LINES: &[u8] = include_bytes!("../../testdata/lines.png");
const COLUMNS: &[u8] = include_bytes!("../../testdata/columns.png");

/// The second and fourth line of `lines.png`. In the third, a space is not detected ("B: 12").
const SECOND: &str = "to the office on the second floor. Invoice no.";
const FOURTH: &str = "$129.00, total $969.00. A kettle that whistles too";

fn read(file: &[u8]) -> Page {
    MODEL.read(file, &Interrupt::new()).unwrap()
}

fn read_picture(picture: &DynamicImage) -> Page {
    read(&encode(picture, ImageKind::Png))
}

fn picture(file: &[u8]) -> DynamicImage {
    image::load_from_memory(file).unwrap()
}

/// `lines.png` around its fourth line.
fn fourth_line() -> DynamicImage {
    picture(LINES).crop_imm(0, 114, 560, 32)
}

#[test]
fn page_is_read_line_by_line() {
    let page = read(LINES);
    let texts: Vec<_> = page.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts.join("\n"), page.text);
    assert_eq!(texts.len(), 6, "{}", page.text);
    assert_eq!(texts[0], "Please return the signed form by 14 March 2025");
    assert_eq!((texts[1], texts[3]), (SECOND, FOURTH));
    assert!(
        page.lines
            .iter()
            .all(|line| line.score > 0.95 && line.score <= 1.0),
        "{page:?}"
    );
    // The lines are drawn from x = 30 on, one every 29 pixels.
    for (row, line) in page.lines.iter().enumerate() {
        let Rect { x, y, width, height } = line.bounds;
        let middle = 42.0 + 29.0 * row as f32;
        assert!(
            (x - 30.0).abs() < 4.0 && width > 430.0 && x + width < 540.0,
            "{line:?}"
        );
        assert!(
            (y + height / 2.0 - middle).abs() < 4.0 && height > 15.0 && height < 30.0,
            "{line:?}"
        );
    }
}

#[test]
fn columns_are_read_from_the_left_under_their_heading() {
    let page = read(COLUMNS);
    let starts = [
        "Notes from a quiet",
        "The harbour was",
        "nobody asked",
        "The key to",
        "should book ahead",
    ];
    let places: Vec<_> = starts.iter().map(|start| page.text.find(start)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{}",
        page.text
    );
    assert_eq!(page.lines.len(), 15);
}

#[test]
fn photo_of_a_page_is_read() {
    let page = read(&test_file("page.png"));
    let title = &page.lines[0];
    assert_eq!(title.text, "Region-based segmentation");
    for phrase in [
        "Let us first determine markers of the coins",
        "histogram of grey values:",
    ] {
        assert!(page.text.contains(phrase), "{}", page.text);
    }
}

/// Maps a point of a page with this width and height to the rotated page.
type Rotate = fn(Point, f32, f32) -> Point;

#[test]
fn rotated_page_has_the_same_text_with_rotated_boxes() {
    let (upright, expected) = (picture(LINES), read(LINES));
    let (width, height) = (upright.width() as f32, upright.height() as f32);
    let rotations: [(DynamicImage, Rotate); 3] = [
        (upright.rotate90(), |p, _, height| Point {
            x: height - p.y,
            y: p.x,
        }),
        (upright.rotate180(), |p, width, height| Point {
            x: width - p.x,
            y: height - p.y,
        }),
        (upright.rotate270(), |p, width, _| Point {
            x: p.y,
            y: width - p.x,
        }),
    ];
    for (rotated, rotate) in rotations {
        let page = read_picture(&rotated);
        let size = rotated.dimensions();
        assert_eq!(page.lines.len(), expected.lines.len(), "{size:?}: {}", page.text);
        assert_eq!(page.lines[1].text, SECOND, "{size:?}");
        assert_eq!(page.lines[3].text, FOURTH, "{size:?}");
        for (line, upright) in page.lines.iter().zip(&expected.lines) {
            for (found, corner) in line.corners.iter().zip(upright.corners) {
                let corner = rotate(corner, width, height);
                assert!(
                    (found.x - corner.x).abs() < 9.0 && (found.y - corner.y).abs() < 9.0,
                    "{line:?} {corner:?}"
                );
            }
        }
    }
}

#[test]
fn boxes_are_in_pixels_of_the_upright_original() {
    // Stored rotated by a quarter turn.
    let rotated = oriented_jpeg(&encode(&picture(LINES).rotate270(), ImageKind::Jpeg), 6);
    let page = read(&rotated);
    assert_eq!(page.lines[3].text, FOURTH);
    let Rect { x, y, width, height } = page.lines[3].bounds;
    assert!(
        (x - 30.0).abs() < 4.0 && (y + height / 2.0 - 131.0).abs() < 4.0 && width > 430.0,
        "{x} {y}"
    );
}

#[test]
fn upside_down_line_is_read_in_its_place() {
    let mut page = picture(LINES);
    page.copy_from(&fourth_line().rotate180(), 0, 114).unwrap();
    let page = read_picture(&page);
    assert_eq!(page.lines[1].text, SECOND);
    assert_eq!(page.lines[3].text, FOURTH);
    // The line's upper left is its lower right on the page.
    let [first, _, third, _] = page.lines[3].corners;
    assert!(first.x > third.x && first.y > third.y, "{:?}", page.lines[3]);
}

#[test]
fn tightly_cropped_line_is_read() {
    assert_eq!(read_picture(&fourth_line()).text, FOURTH);
    assert_eq!(read_picture(&fourth_line().crop_imm(28, 4, 500, 24)).text, FOURTH);
}

#[test]
fn line_of_ten_thousand_pixels_is_read_to_its_end() {
    let mut strip = RgbImage::from_pixel(10_000, 60, Rgb([255; 3]));
    // Without margins, at the distance of words.
    let words = fourth_line().crop_imm(28, 0, 494, 32).to_rgb8();
    for copy in 0..20 {
        image::imageops::replace(&mut strip, &words, 20 + 496 * copy, 14);
    }
    let page = read_picture(&strip.into());
    assert_eq!(
        page.text.matches("A kettle that whistles too").count(),
        20,
        "{}",
        page.text
    );
    assert_eq!(page.text.matches("total $969.00").count(), 20, "{}", page.text);
    assert_eq!(page.lines.len(), 1, "{}", page.text);
}

#[test]
fn picture_without_text_has_no_lines() {
    let mut seed = 1_u32;
    let noise = RgbImage::from_fn(300, 200, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb(seed.to_be_bytes()[..3].try_into().unwrap())
    });
    for (name, picture) in [
        ("white", RgbImage::from_pixel(600, 400, Rgb([255; 3])).into()),
        ("black", RgbImage::from_pixel(600, 400, Rgb([0; 3])).into()),
        ("noise", DynamicImage::from(noise)),
        ("corners", corners(500, 300)),
        ("cat", picture(&test_file("chelsea.png"))),
    ] {
        assert_eq!(read_picture(&picture), Page::default(), "{name}");
    }
}

#[test]
fn picture_of_any_size_is_accepted() {
    for (width, height) in [(1, 1), (1, 900), (16_384, 1), (10_000, 10), (3, 3_000), (33, 31)] {
        read_picture(&corners(width, height));
    }
}

#[test]
fn colors_and_transparency_make_no_difference() {
    let gray = picture(LINES).to_luma8();
    assert_eq!(read_picture(&gray.clone().into()).lines[3].text, FOURTH);
    // Black on transparent, which becomes white.
    let clear = RgbaImage::from_fn(gray.width(), gray.height(), |x, y| {
        Rgba([0, 0, 0, 255 - gray[(x, y)].0[0]])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    clear.write_to(&mut file, image::ImageFormat::Png).unwrap();
    assert_eq!(read(&file.into_inner()).lines[3].text, FOURTH);
    let mut dark = picture(LINES);
    dark.invert();
    assert_eq!(read_picture(&dark).lines[3].text, FOURTH);
}

#[test]
fn invalid_picture_is_an_input_error() {
    for (name, file) in [
        ("garbage", &b"not a picture"[..]),
        ("nothing", b""),
        ("truncated", &LINES[..2_000]),
    ] {
        let error = MODEL.read(file, &Interrupt::new()).unwrap_err();
        assert!(matches!(&error, ModelError::Input(_)), "{name}: {error}");
    }
}

#[test]
fn triggered_interrupt_ends_a_run_at_once() {
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let error = MODEL.read(LINES, &interrupt).unwrap_err();
    assert!(matches!(error, ModelError::Interrupted), "{error}");
}

#[test]
fn result_does_not_depend_on_the_previous_run() {
    let first = read(LINES);
    read(COLUMNS);
    assert_eq!(read(LINES), first);
}

#[test]
fn page_serializes_as_documented_for_the_api() {
    let page = Page {
        text: "Hi".to_owned(),
        lines: vec![Line {
            text: "Hi".to_owned(),
            score: 0.5,
            bounds: Rect {
                x: 1.0,
                y: 2.0,
                width: 3.0,
                height: 4.0,
            },
            corners: [Point { x: 5.0, y: 6.0 }; 4],
        }],
    };
    let json = serde_json::to_string(&page).unwrap();
    let corners = [r#"{"x":5.0,"y":6.0}"#; 4].join(",");
    let expected =
        r#"{"text":"Hi","lines":[{"text":"Hi","score":0.5,"box":{"x":1.0,"y":2.0,"width":3.0,"height":4.0},"#;
    assert_eq!(json, format!(r#"{expected}"corners":[{corners}]}}]}}"#));
    assert_eq!(serde_json::from_str::<Page>(&json).unwrap(), page);
}
