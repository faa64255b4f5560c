//! Setup headers with codebooks that the decoder or the reader can't take.

use proptest::prelude::*;

use super::super::codebooks::{MAX_CODEBOOK_ENTRIES, MAX_VALUES};
use super::*;
use crate::contain::DECODER_PANICKED;

/// Writes numbers of so many bits, the lowest bit first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn add(&mut self, number: u64, bits: usize) {
        self.0.extend((0..bits).map(|bit| number >> bit & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.0.chunks(8).map(byte).collect()
    }
}

/// A setup header of these codebooks, whose codes are all of the same length.
pub(super) fn setup_packet(books: usize, dimensions: u64, entries: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.add(books as u64 - 1, 8);
    for _ in 0..books {
        bits.add(0x56_43_42, 24);
        bits.add(dimensions, 16);
        bits.add(entries, 24);
        // In the order of the lengths: all entries have the first one.
        bits.add(1, 1);
        let length = u64::from(entries.ilog2());
        bits.add(length - 1, 5);
        bits.add(entries, length as usize + 1);
        // Values by one multiplicand, which is 0.
        bits.add(1, 4);
        bits.add(0, 32 + 32);
        bits.add(0, 4 + 1 + 1);
    }
    [b"\x05vorbis".to_vec(), bits.bytes(), vec![0; 64]].concat()
}

/// The decoder takes 145 MB for each of these codebooks of 20 bytes: 9.4 GB for 64 of them.
#[test]
fn an_ogg_of_large_codebooks_is_refused() {
    let comments = comment_packet(0);
    for (books, dimensions, entries) in [(64, 31, 131_072), (1, 31, 131_072), (256, 31, 256), (256, 1, 512)] {
        let setup = setup_packet(books, dimensions, entries);
        for packets in [
            vec![comments.clone(), setup.clone()],
            vec![setup.clone(), comments.clone()],
            vec![b"\x05vorbis".to_vec(), setup.clone()],
        ] {
            for max_segments in [1, 255] {
                assert_refused(AudioKind::Ogg, &ogg(&packets, max_segments), "its codebooks have");
            }
        }
    }
    const { assert!(256 * 256 < MAX_CODEBOOK_ENTRIES && 256 * 256 * 31 > MAX_VALUES) };
}

/// The decoder gets all setup headers in one piece, so that a codebook may start in one and end in the next.
#[test]
fn a_codebook_in_two_headers_is_found() {
    let setup = setup_packet(64, 1, 1_024);
    let bytes = |end: &[u8]| [b"\x05vorbis".as_slice(), end].concat();
    let halves = [setup[..200].to_vec(), bytes(&setup[200..])];
    assert_eq!(checked(AudioKind::Ogg, &ogg(&[setup], 255)), Ok(()));
    let books = setup_packet(64, 1, 2_048);
    assert_eq!(checked(AudioKind::Ogg, &ogg(&halves, 255)), Ok(()));
    assert_refused(
        AudioKind::Ogg,
        &ogg(&[books[..200].to_vec(), bytes(&books[200..])], 255),
        "its codebooks have",
    );
}

/// How a codebook gives the lengths of its codes.
#[derive(Debug, Clone, Copy)]
enum Lengths {
    Ordered,
    Sparse,
    Dense,
}

/// A setup header of one codebook, all of whose codes have the length 1.
fn codebook_packet(dimensions: u64, entries: u64, lengths: Lengths, lookup: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.add(0, 8);
    bits.add(0x56_43_42, 24);
    bits.add(dimensions, 16);
    bits.add(entries, 24);
    match lengths {
        Lengths::Ordered => {
            bits.add(1, 1);
            bits.add(0, 5);
            bits.add(
                entries,
                entries.checked_ilog2().map_or(0, |bits| bits as usize + 1),
            );
        }
        Lengths::Sparse => {
            bits.add(0b10, 2);
            (0..entries).for_each(|_| bits.add(1, 6));
        }
        Lengths::Dense => {
            bits.add(0b00, 2);
            (0..entries).for_each(|_| bits.add(0, 5));
        }
    }
    bits.add(lookup, 4);
    bits.add(0, 32 + 32);
    bits.add(0, 4 + 1);
    [b"\x05vorbis".to_vec(), bits.bytes(), vec![0; 600]].concat()
}

#[test]
fn a_codebook_of_a_size_that_the_decoder_has_not_is_refused() {
    const CUBE: u64 = 255 * 255 * 255;
    for (dimensions, entries, lookup) in [
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 0),
        (32, 1, 1),
        (33, 1, 1),
        (65_535, 2, 2),
        (3, CUBE - 1, 1),
        (3, (1 << 24) - 1, 1),
        (1, 131_073, 0),
    ] {
        let book = codebook_packet(dimensions, entries, Lengths::Ordered, lookup);
        let file = ogg(&[comment_packet(0), book], 255);
        assert_refused(AudioKind::Ogg, &file, "the size of a codebook is out of range");
    }
    for (dimensions, entries, lookup) in [(1, 2, 0), (32, 2, 0), (32, 2, 2), (31, 2, 1), (1, 65_536, 1)] {
        let book = codebook_packet(dimensions, entries, Lengths::Ordered, lookup);
        assert_eq!(checked(AudioKind::Ogg, &ogg(&[book], 255)), Ok(()));
    }
}

/// It is found only if the one before it was read to its end.
#[test]
fn a_codebook_behind_another_is_refused() {
    for lengths in [Lengths::Ordered, Lengths::Sparse, Lengths::Dense] {
        for (dimensions, lookup) in [(1, 0), (2, 1), (2, 2)] {
            let mut bits = Bits::default();
            bits.add(1, 8);
            let first = codebook_packet(dimensions, 9, lengths, lookup);
            // Without its name, its count of codebooks and the filling.
            let values = [0, 3, 18][lookup as usize];
            let head = if lookup == 0 { 0 } else { 32 + 32 + 4 + 1 };
            let lengths = match lengths {
                Lengths::Ordered => 1 + 5 + 4,
                Lengths::Sparse => 2 + 9 * 6,
                Lengths::Dense => 2 + 9 * 5,
            };
            let length = 24 + 16 + 24 + lengths + 4 + head + values;
            let bit = |at: usize| u64::from(first[at / 8] >> (at % 8) & 1);
            (0..length).for_each(|at| bits.add(bit((7 + 1) * 8 + at), 1));
            bits.add(0x56_43_42, 24);
            bits.add(32, 16);
            bits.add(1, 24);
            bits.add(0b00, 2);
            bits.add(0, 5);
            bits.add(1, 4);
            let packet = [b"\x05vorbis".to_vec(), bits.bytes(), vec![0; 200]].concat();
            let file = ogg(&[comment_packet(0), packet], 255);
            assert_refused(AudioKind::Ogg, &file, "the size of a codebook is out of range");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_codebook_makes_the_reader_panic(
        dimensions in prop_oneof![0..40_u64, Just(65_535)],
        entries in prop_oneof![0..20_u64, prop::sample::select(vec![16, 27, 81, 243, 256, 1_000, 1_024])],
        lengths in prop::sample::select(vec![Lengths::Ordered, Lengths::Sparse, Lengths::Dense]),
        lookup in 0..4_u64,
        noise in prop::collection::vec(any::<u8>(), 0..40),
        place in any::<prop::sample::Index>(),
    ) {
        let mut book = codebook_packet(dimensions, entries, lengths, lookup);
        let start = 19 + place.index(book.len() - 100);
        book[start..start + noise.len()].copy_from_slice(&noise);
        let file = ogg(&[comment_packet(0), book], 255);
        let refused = super::super::super::audio::decode(&file, &Interrupt::new()).unwrap_err();
        prop_assert!(!refused.to_string().contains(DECODER_PANICKED), "{}", refused);
    }
}
