//! JPEG files whose segments the check and the decoder could find at different places.

use super::*;

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// Otherwise there would be segments that the check does not count.
#[test]
fn the_decoder_ends_each_segment_where_the_check_does() {
    let picture = hollow_jpeg(8, 8, 1);
    // The decoder finds these markers only if it begins within the segment.
    let ends = [0xff, 0xd9].repeat(40);
    let next = segment(0xef, &ends);
    let identifiers: [&[u8]; 10] = [
        b"JFIF\0",
        b"AVI1\0",
        b"Exif\0\0",
        b"http://ns.adobe.com/xap/1.0/\0",
        b"http://ns.adobe.com/xmp/extension/\0",
        b"ICC_PROFILE\0",
        b"urn:iso:std:iso:ts:21496:-1\0",
        b"MPF\0",
        b"Photoshop 3.0\0",
        b"Adobe\0",
    ];
    let any_marker = (0xc0..=0xfe).map(|marker| (marker, &b""[..]));
    let application = (0xe0..=0xef).flat_map(|marker| identifiers.map(|identifier| (marker, identifier)));
    for (marker, identifier) in any_marker.chain(application) {
        for filling in [&[0; 80], &ends[..]] {
            let whole = [identifier, filling].concat();
            for length in 0..80 {
                let tested = segment(marker, &whole[..length]);
                let file = [&picture[..2], &tested, &next, &picture[2..]].concat();
                let decoded = Picture::decode(&file).map(drop);
                let case = || format!("{length} bytes of {marker:x} {identifier:?}: {decoded:?}");
                if let Err(error) = &decoded {
                    assert!(!error.to_string().contains("Premature End"), "{}", case());
                }
                assert!(decoded.is_ok() || marker != 0xfe, "{}", case());
            }
        }
    }
}

#[test]
fn segments_that_hide_behind_a_short_one_are_refused() {
    let picture = hollow_jpeg(8, 8, 1);
    let hidden = segment(0xef, b"").repeat(5_000);
    let file = [
        &picture[..2],
        &segment(0xe0, b"abcd"),
        &segment(0xef, &hidden),
        &picture[2..],
    ]
    .concat();
    let refused = refusal(&file).to_string();
    assert!(refused.contains("an APP0 segment"), "{refused}");
}
