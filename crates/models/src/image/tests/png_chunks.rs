//! PNG files of chunks that no encoder writes.

use super::*;

/// A PNG with this header: its width, its height, and the five bytes after these.
fn png_of(width: u32, height: u32, rest: [u8; 5], chunks: &[(png::chunk::ChunkType, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = png::Encoder::new(&mut file, 1, 1).write_header().unwrap();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat();
    writer.write_chunk(png::chunk::IHDR, &header).unwrap();
    for (name, body) in chunks {
        writer.write_chunk(*name, body).unwrap();
    }
    drop(writer);
    // The encoder's own header follows the signature.
    file.drain(8..33);
    file
}

/// Bytes in one block of a zlib stream, which are not compressed. The decoder does not check their sum.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let head = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
    [&[0x78, 1, 1], &head[..], bytes, &[0; 4]].concat()
}

#[test]
fn a_palette_that_ends_within_a_color_is_refused() {
    use png::chunk::{IDAT, PLTE, tRNS};
    let pixel = || (IDAT, stored(&[0, 0]));
    for bytes in 1..=770 {
        let palette = || (PLTE, vec![200; bytes]);
        let files = [
            vec![palette(), pixel()],
            vec![palette(), (tRNS, vec![1]), pixel()],
            vec![palette(), (tRNS, vec![1; 256]), pixel()],
        ];
        for chunks in files {
            let decoded = Picture::decode(&png_of(1, 1, [8, 3, 0, 0, 0], &chunks)).map(drop);
            match (bytes, bytes % 3, &decoded) {
                (3..=768, 0, Ok(())) => {}
                (3..=768, 1.., Err(ImageError::Invalid { reason, .. })) => {
                    assert!(reason.contains("ends within a color"), "{bytes}: {reason}");
                }
                (..3 | 769.., _, Err(ImageError::Invalid { reason, .. })) => {
                    assert!(!reason.contains(DECODER_PANICKED), "{bytes}: {reason}");
                }
                _ => panic!("{bytes} bytes: {decoded:?}"),
            }
        }
    }
    // A picture of another type may have a palette as a hint, which is not read.
    let hint = [(PLTE, vec![1; 4]), (IDAT, stored(&[0; 4]))];
    assert!(Picture::decode(&png_of(1, 1, [8, 2, 0, 0, 0], &hint)).is_ok());
}

fn any_chunk() -> impl Strategy<Value = (png::chunk::ChunkType, Vec<u8>)> {
    use png::chunk::{IDAT, IEND, IHDR, PLTE, acTL, bKGD, eXIf, fcTL, fdAT, sBIT, tRNS};
    let side = || (1..5_u32).prop_map(u32::to_be_bytes);
    let bytes = |most: usize| prop::collection::vec(0..5_u8, 0..most);
    let frame = (0..3_u32, side(), side(), 0..2_u32).prop_map(|(number, width, height, x)| {
        let numbers = [
            number.to_be_bytes(),
            width,
            height,
            x.to_be_bytes(),
            [0; 4],
            [0; 4],
        ];
        (fcTL, [&numbers.concat()[..], &[0; 2]].concat())
    });
    let part = (0..3_u32, bytes(60))
        .prop_map(|(number, bytes)| (fdAT, [&number.to_be_bytes()[..], &stored(&bytes)].concat()));
    let other = prop::sample::select(vec![IEND, IHDR, sBIT, bKGD, eXIf, IDAT]);
    prop_oneof![
        3 => bytes(200).prop_map(|bytes| (IDAT, stored(&bytes))),
        2 => bytes(20).prop_map(|bytes| (PLTE, bytes)),
        2 => bytes(10).prop_map(|bytes| (tRNS, bytes)),
        1 => Just((acTL, vec![0, 0, 0, 2, 0, 0, 0, 0])),
        1 => frame,
        1 => part,
        1 => (other, bytes(20)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn chunks_in_any_order_do_not_panic(
        sides in (1..5_u32, 1..5_u32),
        depth in prop::sample::select(vec![1, 2, 4, 8, 16]),
        color in prop::sample::select(vec![0, 2, 3, 4, 6]),
        is_interlaced in any::<bool>(),
        before in prop::collection::vec(any_chunk(), 0..4),
        pixels in prop::collection::vec(0..5_u8, 150),
        after in prop::collection::vec(any_chunk(), 0..3),
    ) {
        let pixels = vec![(png::chunk::IDAT, stored(&pixels))];
        let header = [depth, color, 0, 0, u8::from(is_interlaced)];
        decode_or_refuse(&png_of(sides.0, sides.1, header, &[before, pixels, after].concat()));
    }
}
