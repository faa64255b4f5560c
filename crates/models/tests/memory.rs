//! What a hostile image makes the detector allocate. Alone in its process, whose peak of memory is what is measured.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mesh_models::{FaceDetector, Interrupt, ModelError, image};

#[path = "../src/testing.rs"]
#[allow(dead_code, reason = "the unit tests use the rest")]
mod testing;

/// Runs it and tells by how many MiB the process's memory rose over what it had, at the most.
fn peak_growth(run: impl FnOnce()) -> u64 {
    // Lowers the peak to the present: proc(5).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = peak();
    run();
    (peak() - before) / 1024
}

#[test]
fn a_small_file_can_not_claim_much_memory() {
    let detector = FaceDetector::load(&testing::assets()).unwrap();
    let interrupt = Interrupt::new();
    for (name, file) in testing::huge_files() {
        let growth = peak_growth(|| {
            let error = detector.detect(&file, &interrupt).unwrap_err();
            assert!(matches!(error, ModelError::Input(_)), "{name}: {error}");
        });
        assert!(growth < 8, "{name}: {growth} MiB");
    }

    // 40 MB of color profile and of text, a thousandth of it in the file. Neither is looked at.
    let mut info = png::Info::with_size(32, 32);
    info.icc_profile = Some(vec![0; 40_000_000].into());
    let mut file = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut file, info).unwrap();
    encoder
        .add_ztxt_chunk("Comment".into(), "a".repeat(40_000_000))
        .unwrap();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&[0; 32 * 32])
        .unwrap();
    let growth = peak_growth(|| assert_eq!(detector.detect(&file, &interrupt).unwrap(), []));
    assert!(growth < 20, "{growth} MiB");
}
