//! OCR: text on pictures.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use mesh_tests::{Api, pictures};
use serde_json::json;

fn png(picture: &DynamicImage) -> String {
    pictures::base64(&pictures::encode(picture, ImageFormat::Png))
}

#[test]
fn a_scanned_page_is_read_line_by_line() {
    let api = Api::new();
    let image = png(&pictures::testdata("page.png"));
    let task = api.finished(&api.submit("ocr", json!({ "image": image }), &[]));
    assert_eq!(task["status"], "completed", "{task}");
    let text = task["result"]["text"].as_str().expect("the text is text");
    for words in [
        "Region-based segmentation",
        "markers of the coins",
        "histogram of grey values",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
    let lines = task["result"]["lines"].as_array().expect("lines are a list");
    let joined: Vec<_> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(joined.join("\n"), text, "the text consists of the lines in order");
    for line in lines {
        let side = |name: &str| line["box"][name].as_f64().unwrap_or(f64::NAN);
        assert!(side("x") >= 0.0 && side("x") + side("width") <= 384.0, "{line}");
        assert!(side("y") >= 0.0 && side("y") + side("height") <= 191.0, "{line}");
    }
    assert_eq!(task["model"]["name"], "pp-ocrv4", "{task}");
}

#[test]
fn a_picture_without_text_has_no_lines() {
    let api = Api::new();
    let image = png(&DynamicImage::ImageRgb8(RgbImage::from_pixel(
        300,
        200,
        Rgb([255; 3]),
    )));
    let result = api.result(&api.submit("ocr", json!({ "image": image }), &[]));
    assert_eq!(result, json!({ "text": "", "lines": [] }));
}
