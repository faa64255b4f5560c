//! Pictures that are accepted for what their first bytes promise and turn out to be something else: their tasks fail at
//! once, for good, with a code and a sentence for whoever sent them.

use image::ImageFormat;
use mesh_tests::Api;
use mesh_tests::pictures::{astronaut, encode, hollow_bmp, hollow_gif, hollow_png};

/// Submits all, then looks at each: they travel together.
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
fn a_truncated_image_fails_for_good() {
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
fn an_image_cut_off_after_its_head_fails_for_good() {
    let head = |format, bytes: usize| encode(&astronaut(), format)[..bytes].to_vec();
    let files = [
        ("jpeg", head(ImageFormat::Jpeg, 20)),
        ("png", head(ImageFormat::Png, 33)),
        ("gif", head(ImageFormat::Gif, 13)),
        ("bmp", head(ImageFormat::Bmp, 54)),
        ("nothing to draw", hollow_png(64, 64)),
    ];
    assert_all_fail(&files, "invalid_image");
}

#[test]
fn an_image_that_declares_60_000_by_60_000_pixels_is_not_decoded() {
    let files = [
        ("png", hollow_png(60_000, 60_000)),
        ("gif", hollow_gif(60_000, 60_000)),
        ("bmp", hollow_bmp(60_000, 60_000)),
    ];
    assert_all_fail(&files, "image_too_large");
}

#[test]
fn an_image_of_too_many_pixels_with_lawful_sides_is_not_decoded() {
    let files = [
        ("png", hollow_png(16_000, 16_000)),
        ("gif", hollow_gif(16_000, 16_000)),
        ("bmp", hollow_bmp(16_000, 16_000)),
    ];
    assert_all_fail(&files, "image_too_large");
}

#[test]
fn a_damaged_image_fails_for_good() {
    let mut png = encode(&astronaut(), ImageFormat::Png);
    let middle = png.len() / 2;
    for byte in &mut png[middle..middle + 2_000] {
        *byte = !*byte;
    }
    assert_all_fail(&[("png", png)], "invalid_image");
}
