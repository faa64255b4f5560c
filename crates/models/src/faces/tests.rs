use std::sync::LazyLock;

use image::DynamicImage;

use super::*;
use crate::image::ImageKind;
use crate::testing::*;

static DETECTOR: LazyLock<FaceDetector> = LazyLock::new(|| FaceDetector::load(&assets()).unwrap());

fn detect(file: &[u8]) -> Vec<Face> {
    DETECTOR.detect(file, &Interrupt::new()).unwrap()
}

fn astronaut() -> DynamicImage {
    image::load_from_memory(&photo("astronaut.png")).unwrap()
}

/// The astronaut's face in a picture of 512 x 512 pixels.
const FACE: Rect = Rect {
    x: 175.0,
    y: 64.0,
    width: 96.0,
    height: 130.0,
};

#[test]
fn a_portrait_has_one_face_with_its_landmarks_in_place() {
    let faces = detect(&photo("astronaut.png"));
    let [face] = faces.as_slice() else {
        panic!("{faces:?}")
    };
    assert!(face.bounds.overlap(&FACE) > 0.7, "{face:?}");
    assert!(face.score > 0.8 && face.score <= 1.0, "{face:?}");
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
    assert!(
        left_eye.x < nose.x && nose.x < right_eye.x && left_mouth.x < right_mouth.x,
        "{face:?}"
    );
    assert!(
        left_eye.y < nose.y && right_eye.y < nose.y && nose.y < left_mouth.y,
        "{face:?}"
    );
}

#[test]
fn a_cat_and_a_page_of_text_have_none() {
    assert_eq!(detect(&photo("chelsea.png")), []);
    assert_eq!(detect(&photo("page.png")), []);
}

#[test]
fn every_face_of_a_group_is_found_where_it_is() {
    // Portraits of several sizes on gray, 1,600 pixels wide: the least face is 36 pixels high in the original.
    let places = [
        (20_u32, 30_u32, 512),
        (560, 40, 400),
        (1000, 20, 560),
        (40, 600, 300),
        (400, 560, 250),
        (700, 640, 200),
        (960, 620, 160),
        (1180, 640, 360),
    ];
    let mut group = image::RgbImage::from_pixel(1_600, 1_020, image::Rgb([120; 3]));
    for (x, y, side) in places {
        let portrait = astronaut().resize_exact(side, side, image::imageops::FilterType::Triangle);
        image::imageops::replace(&mut group, &portrait.to_rgb8(), x.into(), y.into());
    }
    let faces = detect(&encode(&group.into(), ImageKind::Jpeg));
    assert_eq!(faces.len(), places.len(), "{faces:?}");
    for (x, y, side) in places {
        let factor = side as f32 / 512.0;
        let expected = Rect {
            x: x as f32 + FACE.x * factor,
            y: y as f32 + FACE.y * factor,
            width: FACE.width * factor,
            height: FACE.height * factor,
        };
        assert!(
            faces.iter().any(|face| face.bounds.overlap(&expected) > 0.6),
            "{side} at {x}, {y}: {faces:?}"
        );
    }
    assert!(faces.is_sorted_by(|a, b| a.score >= b.score));
}

#[test]
fn a_face_in_a_thumbnail_is_found() {
    for side in [40, 64, 100, 200] {
        let small = astronaut().resize_exact(side, side, image::imageops::FilterType::Triangle);
        let faces = detect(&encode(&small, ImageKind::Png));
        assert_eq!(faces.len(), 1, "{side}: {faces:?}");
        let factor = side as f32 / 512.0;
        let Rect { x, y, width, height } = FACE;
        let expected = Rect {
            x: x * factor,
            y: y * factor,
            width: width * factor,
            height: height * factor,
        };
        assert!(faces[0].bounds.overlap(&expected) > 0.6, "{side}: {faces:?}");
    }
}

#[test]
fn a_large_picture_shows_a_small_face_and_one_that_fills_it() {
    let small = astronaut().resize_exact(160, 160, image::imageops::FilterType::Triangle);
    let mut crowd = image::RgbImage::from_pixel(1_920, 1_440, image::Rgb([120; 3]));
    image::imageops::replace(&mut crowd, &small.to_rgb8(), 1_000, 900);
    let mut pictures = vec![(crowd.into(), 41.0)];
    let face = astronaut().crop_imm(150, 30, 150, 190);
    for width in (300..3_000).step_by(900) {
        let height = width * 19 / 15;
        let filled = face.resize_exact(width, height, image::imageops::FilterType::Triangle);
        pictures.push((filled, height as f32 * FACE.height / 190.0));
    }
    for (picture, height) in pictures {
        let faces = detect(&encode(&picture, ImageKind::Jpeg));
        assert_eq!(faces.len(), 1, "{height}: {faces:?}");
        let found = faces[0].bounds.height;
        assert!((found / height - 1.0).abs() < 0.3, "{height}: {faces:?}");
    }
}

#[test]
fn boxes_are_in_pixels_of_the_upright_original() {
    // Stored lying on its side, twice as large.
    let large = astronaut().resize_exact(1_024, 1_024, image::imageops::FilterType::Triangle);
    let lying = oriented_jpeg(&encode(&large.rotate270(), ImageKind::Jpeg), 6);
    let faces = detect(&lying);
    let expected = Rect {
        x: 2.0 * FACE.x,
        y: 2.0 * FACE.y,
        width: 2.0 * FACE.width,
        height: 2.0 * FACE.height,
    };
    assert_eq!(faces.len(), 1);
    assert!(faces[0].bounds.overlap(&expected) > 0.7, "{faces:?}");
}

#[test]
fn a_face_at_the_edge_is_clipped_to_the_picture() {
    let cut = astronaut().crop_imm(0, 0, 235, 400);
    let faces = detect(&encode(&cut, ImageKind::Png));
    for face in &faces {
        let Rect { x, y, width, height } = face.bounds;
        assert!(
            x >= 0.0 && y >= 0.0 && x + width <= 235.0 && y + height <= 400.0,
            "{face:?}"
        );
    }
    assert_eq!(faces.len(), 1);
}

#[test]
fn a_picture_of_any_size_gets_an_answer() {
    for (width, height) in [(1, 1), (1, 900), (16_000, 2), (33, 31), (640, 641)] {
        detect(&encode(&corners(width, height), ImageKind::Png));
    }
}

#[test]
fn a_face_is_written_as_the_api_promises() {
    let face = Face {
        bounds: Rect {
            x: 1.0,
            y: 2.0,
            width: 3.0,
            height: 4.0,
        },
        score: 0.5,
        landmarks: [Point { x: 5.0, y: 6.0 }; 5],
    };
    let json = serde_json::to_string(&face).unwrap();
    let points = [r#"{"x":5.0,"y":6.0}"#; 5].join(",");
    let expected = r#"{"box":{"x":1.0,"y":2.0,"width":3.0,"height":4.0},"score":0.5,"landmarks":["#;
    assert_eq!(json, format!("{expected}{points}]}}"));
    assert_eq!(serde_json::from_str::<Face>(&json).unwrap(), face);
}

#[test]
fn a_bad_picture_is_the_sender_s_fault() {
    let error = DETECTOR.detect(b"no picture", &Interrupt::new()).unwrap_err();
    assert!(
        matches!(&error, ModelError::Input(error) if error.code() == "unsupported_image_type"),
        "{error}"
    );
}

#[test]
fn an_interrupt_triggered_before_ends_it_at_once() {
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let error = DETECTOR.detect(&photo("astronaut.png"), &interrupt).unwrap_err();
    assert!(matches!(error, ModelError::Interrupted), "{error}");
}

#[test]
fn a_cell_is_read_as_the_paper_says() {
    let mut heatmap = Array4::zeros((1, 1, 8, 8));
    let mut scale = Array4::zeros((1, 2, 8, 8));
    let mut offset = Array4::zeros((1, 2, 8, 8));
    let mut landmarks = Array4::zeros((1, 10, 8, 8));
    heatmap[(0, 0, 3, 5)] = 0.9;
    heatmap[(0, 0, 3, 6)] = 0.49;
    scale[(0, 0, 3, 5)] = 2.0_f32.ln();
    scale[(0, 1, 3, 5)] = 4.0_f32.ln();
    offset[(0, 0, 3, 5)] = 0.25;
    offset[(0, 1, 3, 5)] = -0.25;
    landmarks[(0, 0, 3, 5)] = 0.5;
    landmarks[(0, 1, 3, 5)] = 0.25;
    let maps = Maps {
        heatmap: heatmap.view(),
        scale: scale.view(),
        offset: offset.view(),
        landmarks: landmarks.view(),
    };
    let faces = maps.faces();
    let [face] = faces.as_slice() else {
        panic!("{faces:?}")
    };
    // Middle (5 - 0.25 + 0.5, 3 + 0.25 + 0.5) cells, sides 4 and 2 cells, a cell being 4 pixels.
    let Rect { x, y, width, height } = face.bounds;
    for (found, expected) in [(x, 13.0), (y, 11.0), (width, 16.0), (height, 8.0)] {
        assert!((found - expected).abs() < 1e-4, "{face:?}");
    }
    assert!((face.landmarks[0].x - 17.0).abs() < 1e-4 && (face.landmarks[0].y - 15.0).abs() < 1e-4);
}

#[test]
fn of_overlapping_boxes_the_surest_stays() {
    let face = |x: f32, score: f32| Face {
        bounds: Rect {
            x,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        },
        score,
        landmarks: [Point { x: 0.0, y: 0.0 }; 5],
    };
    // 5 pixels apart they share a third of their union, 6 a quarter.
    let kept = distinct(vec![
        face(0.0, 0.9),
        face(5.0, 0.8),
        face(6.0, 0.7),
        face(100.0, 0.6),
    ]);
    assert_eq!(
        kept.iter().map(|face| face.score).collect::<Vec<_>>(),
        [0.9, 0.7, 0.6]
    );
}
