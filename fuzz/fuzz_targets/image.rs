//! `Picture::decode` refuses any file with a message, or decodes it within the limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_models::image::{MAX_SIDE, Picture};

fuzz_target!(|file: &[u8]| {
    match Picture::decode(file) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(picture) => {
            let (width, height) = picture.size();
            assert!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height));
            assert_eq!(picture.upright(32, 24).dimensions(), (32, 24));
        }
    }
});
