//! Files that begin like an image but can't be decoded, or declare too many pixels. Their tasks fail permanently, with a
//! code and a message that says what to send.

use image::ImageFormat;
use mesh_tests::Api;
use mesh_tests::pictures::{astronaut, bmp_without_pixels, encode, gif_without_pixels, png_without_pixels};

/// Submits all files, then asserts that each task fails with this code. Files that are submitted together run in batches.
fn assert_all_fail(files: &[(&str, Vec<u8>)], code: &str) {
    let api = Api::new();
    let ids: Vec<_> = files
        .iter()
        .map(|(name, file)| (name, api.submit_image(file, &[])))
        .collect();
    for (name, id) in ids {
        println!("{name}");
        let task = api.failed(&id, "permanent", code);
        let message = task["error"]["message"].as_str().expect("an error has a message");
        assert!(message.contains("send"), "the message says what to do: {message}");
    }
}

#[test]
fn a_truncated_image_fails_permanently() {
    let half = |format| {
        let file = encode(&astronaut(), format);
        file[..file.len() / 2].to_vec()
    };
    let files = [
        ("jpeg", half(ImageFormat::Jpeg)),
        ("png", half(ImageFormat::Png)),
        ("webp", half(ImageFormat::WebP)),
        ("bmp", half(ImageFormat::Bmp)),
    ];
    assert_all_fail(&files, "invalid_image");
}

#[test]
fn an_image_cut_off_after_its_header_fails_permanently() {
    let head = |format, bytes: usize| encode(&astronaut(), format)[..bytes].to_vec();
    let files = [
        ("jpeg", head(ImageFormat::Jpeg, 20)),
        ("png", head(ImageFormat::Png, 33)),
        ("gif", head(ImageFormat::Gif, 13)),
        ("bmp", head(ImageFormat::Bmp, 54)),
        ("png without pixels", png_without_pixels(64, 64)),
    ];
    assert_all_fail(&files, "invalid_image");
}

#[test]
fn an_image_that_declares_60_000_by_60_000_pixels_is_not_decoded() {
    let files = [
        ("png", png_without_pixels(60_000, 60_000)),
        ("gif", gif_without_pixels(60_000, 60_000)),
        ("bmp", bmp_without_pixels(60_000, 60_000)),
    ];
    assert_all_fail(&files, "image_too_large");
}

#[test]
fn an_image_with_too_many_pixels_but_allowed_sides_is_not_decoded() {
    let files = [
        ("png", png_without_pixels(16_000, 16_000)),
        ("gif", gif_without_pixels(16_000, 16_000)),
        ("bmp", bmp_without_pixels(16_000, 16_000)),
    ];
    assert_all_fail(&files, "image_too_large");
}

#[test]
fn a_damaged_image_fails_permanently() {
    let mut png = encode(&astronaut(), ImageFormat::Png);
    let middle = png.len() / 2;
    for byte in &mut png[middle..middle + 2_000] {
        *byte = !*byte;
    }
    assert_all_fail(&[("png", png)], "invalid_image");
}
