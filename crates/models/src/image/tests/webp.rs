//! WebP files that the decoder would not bound.

use super::*;

#[test]
fn frames_within_frames_do_not_use_up_the_stack() {
    // As deep as 5 MB can be.
    let levels = 200_000_u32;
    let mut nested = Vec::new();
    for level in (0..levels).rev() {
        nested.extend(b"ANMF");
        nested.extend((16 + 24 * level).to_le_bytes());
        nested.extend([0; 16]);
    }
    let error = refusal(&extended_webp(2, (8, 8), &[webp_chunk(b"ANIM", &[0; 6]), nested]));
    assert!(matches!(error, ImageError::Invalid { .. }), "{error}");
}

/// The decoder takes the size that the animation states for its own, and panics beyond it.
#[test]
fn a_lossy_frame_of_another_size_than_stated_is_refused() {
    // The header of a frame of 8 x 8, then a transparency of its own, so that both are combined.
    let head = [&[0; 6][..], &[7, 0, 0, 7, 0, 0, 100, 0, 0, 0]].concat();
    let transparency = webp_chunk(b"ALPH", &[&[0][..], &[255; 64]].concat());
    let lossy = LOSSY_WEBP[12..].to_vec();
    let frame = webp_chunk(b"ANMF", &[head, transparency, lossy].concat());
    let webp = extended_webp(2 | 16, (100, 100), &[webp_chunk(b"ANIM", &[0; 6]), frame]);
    let error = refusal(&webp);
    assert!(
        error.to_string().contains("the sizes of a frame differ"),
        "{error}"
    );
}

/// The files that may have a lossless stream, and one of 32 x 16 pixels in each place.
fn files_of_lossless(stream: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let frame_head = [&[0; 6][..], &[31, 0, 0, 15, 0, 0, 100, 0, 0, 0]].concat();
    let lossless = webp_chunk(b"VP8L", stream);
    let lossy = LOSSY_WEBP[12..].to_vec();
    // The compression, and no header.
    let alpha = webp_chunk(b"ALPH", &[&[1], &stream[5..]].concat());
    let animation = |chunks: &[Vec<u8>]| {
        let frame = webp_chunk(b"ANMF", &[frame_head.clone(), chunks.concat()].concat());
        extended_webp(2 | 16, (32, 16), &[webp_chunk(b"ANIM", &[0; 6]), frame])
    };
    [
        ("simple", lossless_webp(stream)),
        ("animation", animation(&[lossless])),
        (
            "transparency",
            extended_webp(16, (32, 16), &[alpha.clone(), lossy.clone()]),
        ),
        ("animated transparency", animation(&[alpha, lossy])),
    ]
}

#[test]
fn codes_that_take_much_memory_are_refused() {
    for (place, file) in files_of_lossless(&lossless_of_groups(32, 16, 1_000)) {
        assert_eq!(Picture::decode(&file).unwrap().size(), (32, 16), "{place}");
    }
    for groups in [2_000, 65_536] {
        for (place, file) in files_of_lossless(&lossless_of_groups(32, 16, groups)) {
            let error = refusal(&file);
            assert!(matches!(error, ImageError::TooLarge { .. }), "{place}: {error}");
            let size = format!("{groups} groups of Huffman codes, over the limit of 128 MiB");
            assert!(error.to_string().contains(&size), "{place}: {error}");
        }
    }
}

/// The decoder takes it for a lossy picture, whose size would then be unchecked.
#[test]
fn an_unknown_chunk_after_the_transparency_of_a_frame_is_refused() {
    let [.., (_, file)] = files_of_lossless(&lossless_of_groups(32, 16, 2));
    assert!(Picture::decode(&file).is_ok());
    let at = file.windows(4).position(|name| name == b"VP8 ").unwrap();
    let mut renamed = file;
    renamed[at..at + 4].copy_from_slice(b"XXXX");
    let error = refusal(&renamed);
    assert!(error.to_string().contains("misplaced"), "{error}");
}

/// The decoder finds chunks up to a length after the end that the file states.
#[test]
fn what_follows_the_file_is_ignored() {
    let bomb = webp_chunk(b"VP8L", &lossless_of_groups(32, 16, 2_000));
    let mut file = extended_webp(0, (32, 16), &[]);
    file.extend(bomb);
    let error = refusal(&file);
    assert!(matches!(error, ImageError::Invalid { .. }), "{error}");
}

/// The decoder would take the transparency for that of the canvas.
#[test]
fn a_frame_outside_an_animation_is_refused() {
    let [.., (_, file)] = files_of_lossless(&lossless_of_groups(32, 16, 2));
    let mut still = file.clone();
    still[20] &= !2;
    assert!(Picture::decode(&file).is_ok());
    let error = refusal(&still);
    assert!(error.to_string().contains("misplaced"), "{error}");
}

/// The decoder decodes such a picture before it compares the sizes.
#[test]
fn a_lossy_picture_of_another_size_than_its_canvas_is_refused() {
    let error = refusal(&extended_webp(0, (100, 100), &[LOSSY_WEBP[12..].to_vec()]));
    assert!(
        error.to_string().contains("the sizes of a frame differ"),
        "{error}"
    );
}

/// A lossless picture of 64 x 32 pixels that libwebp encoded, with transforms and two groups of codes.
const TWO_GROUPS: &str = concat!(
    "524946468c010000574542505650384c7f0100002f3fc00700cd6544ff63202448f8ffdb682ff840f43f0d5bce0444444890",
    "6df3dc5fbc23100810fc3f1331014c1a491294346b36fe752e6b788f5e41464cc0389a15af06de083c10e4f6d8f2f496b788",
    "ddb8059eed0f2049033880718cd3db81d3a011a140dee0c67bfb97efc443e130961c928dd3e9c1f2345a2112468cdcb865c8",
    "b16379e3160686639984c79248336bf70f3468418c532206947f90d693b4839590e0ed9c1e3b763b1672bb251c8205c02c43",
    "b2d50e5bf106e456b67800762046e8581e3b031849d9206ff70363c0c132e1c4c824766e278469344aa99dbc3a04b26578ac",
    "d82de1cc1f88a7373e8f7106b6d39a639ce08161ec143809ff202496262742c2b1b3e5de717a4bf276681818ba1d4282c74e",
    "0f11ce60fd00a11d23cfc41368700281718b06c7c85b212d309d198b500a010923f6871dbbdd6edc38e516986112480a9056",
    "80780b30d229050ac79e847807397660c63203da2d32964e92d8c1f2b0e5e98d68176879a0490891dea0168ee589c0298780",
    "87662400",
);

#[test]
fn transforms_and_groups_are_decoded() {
    let picture = Picture::decode(&hex::decode(TWO_GROUPS).unwrap()).unwrap();
    assert_eq!(picture.size(), (64, 32));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The groups are found where the decoder finds them, so that nothing else is refused than what takes much memory.
    #[test]
    fn a_stream_that_the_decoder_accepts_is_accepted(
        flips in prop::collection::vec((20..200_usize, any::<u8>()), 1..3),
    ) {
        let mut file = hex::decode(TWO_GROUPS).unwrap();
        for (at, value) in flips {
            file[at] = value;
        }
        let decoded = contain(|| image::load_from_memory_with_format(&file, ImageFormat::WebP));
        if decoded.is_some_and(|decoded| decoded.is_ok_and(|picture| picture.width() > 0)) {
            prop_assert_eq!(Picture::decode(&file).err(), None);
        }
    }
}
