use std::sync::LazyLock;

use image::DynamicImage;

use super::*;
use crate::InputError;
use crate::image::{ImageError, ImageKind};
use crate::testing::*;

static DETECTOR: LazyLock<FaceDetector> = LazyLock::new(|| FaceDetector::load(&assets()).unwrap());

fn detect(file: &[u8]) -> Vec<Face> {
    DETECTOR.detect(file, &Interrupt::new()).unwrap()
}

fn astronaut() -> DynamicImage {
    image::load_from_memory(&test_file("astronaut.png")).unwrap()
}

/// The astronaut's face in a picture of 512 x 512 pixels.
const FACE: Rect = Rect {
    x: 175.0,
    y: 64.0,
    width: 96.0,
    height: 130.0,
};

#[test]
fn portrait_has_one_face_with_its_landmarks() {
    let faces = detect(&test_file("astronaut.png"));
    let [face] = faces.as_slice() else {
        panic!("{faces:?}")
    };
    assert!(face.bounds.intersection_over_union(&FACE) > 0.7, "{face:?}");
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
fn cat_and_page_of_text_have_no_face() {
    assert_eq!(detect(&test_file("chelsea.png")), []);
    assert_eq!(detect(&test_file("page.png")), []);
}

#[test]
fn every_face_of_a_group_is_found_in_place() {
    // Portraits of several sizes on gray, 1,600 pixels wide. The smallest face is 36 pixels high in the original.
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
            faces
                .iter()
                .any(|face| face.bounds.intersection_over_union(&expected) > 0.6),
            "{side} at {x}, {y}: {faces:?}"
        );
    }
    assert!(faces.is_sorted_by(|a, b| a.score >= b.score));
}

#[test]
fn face_in_a_thumbnail_is_found() {
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
        assert!(
            faces[0].bounds.intersection_over_union(&expected) > 0.6,
            "{side}: {faces:?}"
        );
    }
}

#[test]
fn small_face_and_face_that_fills_a_large_picture_are_found() {
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
    // Stored rotated by a quarter turn, and twice as large.
    let large = astronaut().resize_exact(1_024, 1_024, image::imageops::FilterType::Triangle);
    let rotated = oriented_jpeg(&encode(&large.rotate270(), ImageKind::Jpeg), 6);
    let faces = detect(&rotated);
    let expected = Rect {
        x: 2.0 * FACE.x,
        y: 2.0 * FACE.y,
        width: 2.0 * FACE.width,
        height: 2.0 * FACE.height,
    };
    assert_eq!(faces.len(), 1);
    assert!(
        faces[0].bounds.intersection_over_union(&expected) > 0.7,
        "{faces:?}"
    );
}

#[test]
fn face_at_the_edge_is_clipped_to_the_picture() {
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
fn picture_of_any_size_is_accepted() {
    for (width, height) in [(1, 1), (1, 900), (16_000, 2), (33, 31), (640, 641)] {
        detect(&encode(&corners(width, height), ImageKind::Png));
    }
}

#[test]
fn face_serializes_as_documented_for_the_api() {
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
fn invalid_picture_is_an_input_error() {
    let error = DETECTOR.detect(b"not a picture", &Interrupt::new()).unwrap_err();
    assert!(
        matches!(
            &error,
            ModelError::Input(InputError::Image(ImageError::Unsupported { .. }))
        ),
        "{error}"
    );
}

#[test]
fn triggered_interrupt_ends_a_run_at_once() {
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let error = DETECTOR
        .detect(&test_file("astronaut.png"), &interrupt)
        .unwrap_err();
    assert!(matches!(error, ModelError::Interrupted), "{error}");
}

#[test]
fn cell_is_decoded_as_in_the_paper() {
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
    // Center (5 - 0.25 + 0.5, 3 + 0.25 + 0.5) cells, sides 4 and 2 cells, a cell being 4 pixels.
    let Rect { x, y, width, height } = face.bounds;
    for (found, expected) in [(x, 13.0), (y, 11.0), (width, 16.0), (height, 8.0)] {
        assert!((found - expected).abs() < 1e-4, "{face:?}");
    }
    assert!((face.landmarks[0].x - 17.0).abs() < 1e-4 && (face.landmarks[0].y - 15.0).abs() < 1e-4);
}

#[test]
fn of_overlapping_boxes_the_one_with_the_highest_score_remains() {
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
    // 5 pixels apart the intersection is a third of the union, 6 apart a quarter.
    let remaining = suppress_overlaps(vec![
        face(0.0, 0.9),
        face(5.0, 0.8),
        face(6.0, 0.7),
        face(100.0, 0.6),
    ]);
    assert_eq!(
        remaining.iter().map(|face| face.score).collect::<Vec<_>>(),
        [0.9, 0.7, 0.6]
    );
}

#[test]
fn a_picture_is_not_scaled_after_an_interrupt() {
    let picture = Picture::decode(&test_file("astronaut.png")).unwrap();
    let interrupt = Interrupt::new();
    assert_eq!(passes(&picture, &interrupt).unwrap().len(), 1);
    interrupt.trigger();
    let interrupted = passes(&picture, &interrupt).unwrap_err();
    assert!(matches!(interrupted, ModelError::Interrupted), "{interrupted}");
}
