//! JPEG files of any frame, scans and Adobe segments. The decoder panics at some that are allowed.

use super::*;

/// The factors of components by which the decoder could mix them up.
const WIDTHS: [u8; 3] = [1, 2, 4];

/// An Adobe segment that states how colors are coded: 0 for RGB or CMYK, 1 for YCbCr, 2 for YCCK.
fn adobe(transform: u8) -> Vec<u8> {
    segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat())
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

#[derive(Debug, Clone)]
struct Scan {
    /// What is between the scan before, or the frame, and this one.
    before: Vec<u8>,
    /// The components by their places, in any order.
    components: Vec<u8>,
    /// The first and the last coefficient, and the bits of all that this scan has.
    band: [u8; 3],
    data: Vec<u8>,
}

const BASELINE: u8 = 0xc0;
const PROGRESSIVE: u8 = 0xc2;

/// A scan of these components of a picture of 8 x 8 pixels, whose coefficients are all 0.
fn scan_of(places: &[u8], components: &[(u8, u8)], frame: u8) -> Scan {
    let blocks = |place: &u8| {
        components
            .get(usize::from(*place))
            .map_or(0, |(width, height)| width * height)
    };
    let blocks = match places {
        [_] => 1,
        _ => places.iter().map(blocks).sum::<u8>(),
    };
    // A block of a progressive frame has one code in this scan, and one of another frame has two.
    let (codes, band) = if frame == PROGRESSIVE {
        (1, [0; 3])
    } else {
        (2, [0, 63, 0])
    };
    Scan {
        before: Vec::new(),
        components: places.to_vec(),
        band,
        data: vec![0; usize::from((blocks * codes * CODE_BITS).div_ceil(8))],
    }
}

/// The length of each code.
const CODE_BITS: u8 = 3;

/// A file of so many pixels each way. A component is its two sampling factors, the horizontal one first.
fn jpeg(side: u8, frame: u8, components: &[(u8, u8)], before_frame: &[u8], scans: &[Scan]) -> Vec<u8> {
    let mut file = [&[0xff, 0xd8], before_frame].concat();
    file.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    let mut header = vec![8, 0, side, 0, side, components.len() as u8];
    for (place, (width, height)) in components.iter().enumerate() {
        header.extend([place as u8, width << 4 | height, 0]);
    }
    file.extend(segment(frame, &header));
    for table in [0x00, 0x10] {
        // For the numbers of bits of a difference, and for coefficients with zeros before them.
        let symbols: [u8; 6] = if table == 0 {
            [0, 1, 2, 3, 4, 5]
        } else {
            [0x00, 0x01, 0x11, 0xf0, 0x02, 0x50]
        };
        let mut lengths = [0; 16];
        lengths[usize::from(CODE_BITS) - 1] = 6;
        file.extend(segment(0xc4, &[&[table][..], &lengths, &symbols].concat()));
    }
    for scan in scans {
        file.extend(&scan.before);
        let mut header = vec![scan.components.len() as u8];
        header.extend(scan.components.iter().flat_map(|place| [*place, 0]));
        header.extend(scan.band);
        file.extend(segment(0xda, &header));
        file.extend(&scan.data);
    }
    file.extend([0xff, 0xd9]);
    file
}

fn assert_unsupported(file: &[u8], found: &str) {
    let error = refusal(file);
    assert!(matches!(error, ImageError::Unsupported { .. }), "{error}");
    assert!(error.to_string().starts_with(found), "{error}");
}

#[test]
fn frames_of_one_three_and_four_components_are_decoded() {
    for frame in [BASELINE, PROGRESSIVE] {
        for components in [
            vec![(1, 1)],
            vec![(1, 1); 3],
            vec![(2, 2), (1, 1), (1, 1)],
            vec![(2, 1), (1, 1), (1, 1)],
            vec![(1, 1); 4],
        ] {
            let all: Vec<_> = (0..components.len() as u8).collect();
            let scan = |places: &[u8]| scan_of(places, &components, frame);
            let in_one = vec![scan(&all)];
            let in_many = all.iter().map(|&place| scan(&[place])).collect();
            for scans in [in_one, in_many] {
                for transform in 0..3 {
                    let file = jpeg(8, frame, &components, &adobe(transform), &scans);
                    let decoded = Picture::decode(&file).map(|picture| picture.size());
                    assert_eq!(decoded, Ok((8, 8)), "{frame:x} {components:?} {transform}");
                }
            }
        }
    }
}

#[test]
fn a_frame_of_two_components_is_unsupported() {
    for frame in [BASELINE, PROGRESSIVE] {
        for before in [vec![], adobe(2)] {
            let components = [(1, 1); 2];
            let scan = scan_of(&[0, 1], &components, frame);
            let file = jpeg(8, frame, &components, &before, &[scan]);
            assert_unsupported(&file, "a JPEG of two components");
        }
    }
}

#[test]
fn a_frame_whose_first_component_is_narrower_than_another_is_unsupported() {
    for frame in [BASELINE, PROGRESSIVE] {
        for wide in 1..3 {
            let mut components = [(1, 2), (1, 1), (1, 1)];
            components[wide].0 = 2;
            let scans = [0, 1, 2].map(|place| scan_of(&[place], &components, frame));
            assert_unsupported(
                &jpeg(8, frame, &components, &[], &scans),
                "a JPEG whose first component is narrower",
            );
        }
    }
}

#[test]
fn an_adobe_segment_behind_the_frame_is_refused() {
    for (components, transform) in [(1, 2), (4, 1)] {
        let all: Vec<_> = (0..components).collect();
        let sampled = [vec![(2, 2)], vec![(1, 1); usize::from(components) - 1]].concat();
        let mut scans = vec![
            scan_of(&all, &sampled, PROGRESSIVE),
            scan_of(&[0], &sampled, PROGRESSIVE),
        ];
        scans[1].band = [1, 5, 0];
        for place in [0, 1] {
            let mut scans = scans.clone();
            scans[place].before = adobe(transform);
            let refused = refusal(&jpeg(8, PROGRESSIVE, &sampled, &[], &scans)).to_string();
            assert!(
                refused.contains("an Adobe segment follows its frame header"),
                "{refused}"
            );
        }
        assert!(Picture::decode(&jpeg(8, PROGRESSIVE, &sampled, &adobe(transform), &scans)).is_ok());
    }
}

fn scan(components: usize) -> impl Strategy<Value = Scan> {
    let places: Vec<_> = (0..components as u8).collect();
    let before = prop_oneof![
        9 => Just(Vec::new()),
        1 => (0..3_u8).prop_map(adobe),
        1 => (0..4_u8).prop_map(|interval| segment(0xdd, &[0, interval])),
        1 => Just(segment(0xfe, b"a comment")),
    ];
    let band = prop::sample::select(vec![
        [0, 0, 0],
        [1, 5, 0],
        [0, 63, 0],
        [1, 63, 0x10],
        [0, 0, 0x01],
    ]);
    let byte = prop_oneof![3 => 0..0xff_u8, 2 => Just(0)];
    (
        before,
        prop::sample::subsequence(places, 1..=components).prop_shuffle(),
        band,
        prop::collection::vec(byte, 0..300),
    )
        .prop_map(|(before, components, band, data)| Scan {
            before,
            components,
            band,
            data,
        })
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let factors = (prop::sample::select(&WIDTHS[..]), 1..=4_u8);
    let components = prop::collection::vec(factors, 1..=4);
    let kind = prop::sample::select(vec![BASELINE, 0xc1, PROGRESSIVE]);
    let before = prop_oneof![Just(Vec::new()), (0..3_u8).prop_map(adobe)];
    let scans = |components: Vec<_>| {
        (
            prop::collection::vec(scan(components.len()), 1..5),
            Just(components),
        )
    };
    (kind, before, components.prop_flat_map(scans))
        .prop_map(|(kind, before, (scans, components))| jpeg(40, kind, &components, &before, &scans))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_frame_makes_the_decoder_panic(file in frame()) {
        decode_or_refuse(&file);
    }
}
