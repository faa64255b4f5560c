use super::*;

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// The header of a JPEG's frame with one component.
fn frame(marker: u8, width: u16, height: u16) -> Vec<u8> {
    let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
    segment(marker, &[&[8], &sides[..], &[1, 1, 0x11, 0]].concat())
}

fn jpeg(parts: &[Vec<u8>]) -> Vec<u8> {
    [&b"\xff\xd8"[..], &parts.concat()].concat()
}

#[test]
fn the_frame_of_a_jpeg_has_its_sides() {
    let app = segment(0xe1, &[&b"Exif\0\0"[..], &frame(0xc0, 9, 9)].concat());
    for marker in 0xc0..=0xc2 {
        let file = jpeg(&[app.clone(), segment(0xdb, &[0; 65]), frame(marker, 30, 20)]);
        assert_eq!(jpeg_sides(&file), Some((30, 20)), "{marker:x}");
    }
    assert_eq!(jpeg_sides(&jpeg(&[frame(0xc0, 30, 0)])), None);
}

/// The decoder skips these segments and gaps, while other readers take the first sides for those of the picture.
#[test]
fn an_unusual_jpeg_shows_no_sides() {
    let small = frame(0xc0, 16, 16);
    for before in [
        frame(0xc3, 16, 16),
        frame(0xc5, 16, 16),
        frame(0xc7, 16, 16),
        frame(0xc9, 16, 16),
        frame(0xcd, 16, 16),
        segment(0xc8, &[0; 9]),
        segment(0xd8, &[0; 9]),
        segment(0x02, &[0; 9]),
        vec![0xff; 300],
        vec![0xff],
        vec![0xff, 0],
        b"junk".to_vec(),
        b"\xff\x01".to_vec(),
        b"\xff\xfe\0\x01".to_vec(),
        segment(0xe0, &[0; 9])[..8].to_vec(),
        segment(0xe0, b"abcd"),
        segment(0xe1, &[0; 5]),
    ] {
        let file = jpeg(&[before.clone(), small.clone()]);
        assert_eq!(jpeg_sides(&file), None, "{before:x?}");
    }
    assert_eq!(jpeg_sides(&jpeg(&[segment(0xe0, &[0; 9])])), None);
}

#[test]
fn other_images_have_their_sides_at_the_start() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\0\x05";
    assert_eq!(longest_side(png), Some(1_024));
    assert_eq!(
        png_sides(&[&png[..8], b"\0\0\0\x0dtEXt", &png[16..]].concat()),
        None
    );

    let webp = |chunk: &[u8]| webp_sides(&[&b"RIFF\0\0\0\0WEBP"[..], chunk].concat());
    let lossy = b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x10\x40\x08\x80";
    assert_eq!(webp(lossy), Some((16, 8)));
    assert_eq!(webp(b"VP8L\0\0\0\0\x2f\x0f\xc0\x01\x00"), Some((16, 8)));
    assert_eq!(
        webp(b"VP8X\x0a\0\0\0\0\0\0\0\x0f\0\x01\x07\0\0"),
        Some((65_552, 8))
    );
    assert_eq!(webp(b"ALPHX\x0a\0\0\0\0\0\0\0\x0f\0\x01\x07\0\0"), None);

    let bmp = |header: &[u8]| bmp_sides(&[&b"BM\0\0\0\0\0\0\0\0\0\0\0\0"[..], header].concat());
    assert_eq!(bmp(b"\x0c\0\0\0\x10\0\x08\0"), Some((16, 8)));
    assert_eq!(bmp(b"\x28\0\0\0\x10\0\0\0\xf8\xff\xff\xff"), Some((16, 8)));
    assert_eq!(bmp(b"\x29\0\0\0\x10\0\0\0\xf8\xff\xff\xff"), None);
}

#[test]
fn the_frame_of_a_gif_may_exceed_its_screen() {
    let frame = b",\0\0\0\0\x10\0\x08\0\0";
    let comment = b"\x21\xfe\x03abc\x02de\0";
    for (flags, between) in [(0, vec![]), (0, comment.to_vec()), (0x81, vec![0; 12])] {
        let head = [b"GIF89a\x04\0\x09\0", &[flags, 0, 0][..], &between, frame].concat();
        assert_eq!(gif_sides(&head), Some((16, 9)), "{flags:x}, {between:x?}");
        assert_eq!(gif_sides(&head[..head.len() - 3]), None);
    }
    assert_eq!(gif_sides(b"GIF89a\x04\0\x09\0\0\0\0\0"), None);
}
