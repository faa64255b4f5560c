//! Decoding that is interrupted. The checks for an interrupt are counted, so that no test waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::source::IsInterrupted;

/// How often this work checks whether it is interrupted, if that is so from check number `at` on.
fn checks<T>(at: usize, work: impl FnOnce(IsInterrupted<'_>) -> T) -> usize {
    let checks = AtomicUsize::new(0);
    // A decoder may fill what it can't read, so the result says nothing.
    work(&|| checks.fetch_add(1, Ordering::Relaxed) >= at);
    checks.into_inner()
}

fn checks_of_interrupted(file: &[u8], at: usize) -> usize {
    checks(at, |is_interrupted| {
        Picture::decode_source(Source::new(file, is_interrupted))
    })
}

#[test]
fn an_interrupt_ends_the_work_on_a_file_soon() {
    let noise = image::RgbImage::from_fn(256, 256, |x, y| {
        image::Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8])
    });
    let mut files: Vec<_> = KINDS
        .iter()
        .map(|&kind| (kind.to_string(), encode(&noise.clone().into(), kind)))
        .collect();
    files.push(("JPEG of many scans".to_owned(), jpeg_of_scans(64, 64, 100)));
    for (name, file) in files {
        let all = checks_of_interrupted(&file, usize::MAX);
        for at in [0, all / 4, all / 2] {
            let checks = checks_of_interrupted(&file, at);
            // The interrupt is noticed, though a decoder may take some failed reads for zeros.
            assert!(
                (at + 1..=at + 100).contains(&checks),
                "{name}: {checks} checks, interrupted at {at} of {all}"
            );
        }
    }
    let interrupt = Interrupt::new();
    interrupt.trigger();
    let decoded = Picture::decode_until(&encode(&corners(8, 8), ImageKind::Png), &interrupt);
    assert!(matches!(decoded, Err(ModelError::Interrupted)));
}

/// The decoder of the crate `image` reads the whole file before it decodes any of the scans, each of which may take a second.
#[test]
fn an_interrupt_is_noticed_between_the_scans_of_a_jpeg() {
    for scans in [10, 50, 100] {
        let all = checks_of_interrupted(&jpeg_of_scans(256, 256, scans), usize::MAX);
        assert!(all > scans / 2, "{all} checks in {scans} scans");
    }
}

/// What follows was not checked. Where the end marker is within what the decoder takes for a segment, the decoder reads on.
#[test]
fn a_jpeg_is_not_read_beyond_the_end_that_the_check_finds() {
    let picture = jpeg_of_scans(16, 16, 2);
    let end = picture.len() - 2;
    // The first marker has no segment, but to the decoder it has one, which contains the second marker, the end.
    let hidden_end = [0xff, 0xd8, 0x00, 0x06, 0xff, 0xd9, 0x00, 0x00];
    let beyond = [&[0xff, 0xe1, 0, 6][..], &[b'x'; 4]].concat().repeat(10_000);
    let file = [&picture[..end], &hidden_end, &beyond, &picture[end..]].concat();
    let checked = &file[..end + 6];

    let decoder = crate::image::jpeg::decode_checked;
    let by_decoder = |file| checks(usize::MAX, |interrupted| decoder(Source::new(file, interrupted)));
    assert!(
        by_decoder(&file) > 100,
        "the decoder sees the end: {} checks",
        by_decoder(&file)
    );
    assert_eq!(checks_of_interrupted(&file, usize::MAX), by_decoder(checked));
    assert!(Picture::decode(&file).is_ok());
}
