//! Measures the memory that hostile images make the detector allocate. It is the only test of its process, since it measures
//! the peak memory of the whole process.
#![allow(clippy::unwrap_used, reason = "a test may")]

use mesh_models::{FaceDetector, Interrupt, ModelError, image};

#[path = "../src/testing.rs"]
#[allow(dead_code, reason = "the unit tests use the rest")]
mod testing;

/// The peak growth of the process's memory during a run, in MiB.
fn peak_growth(run: impl FnOnce()) -> u64 {
    // Resets the peak to the current value: proc(5).
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
fn small_file_can_not_take_much_memory() {
    let detector = FaceDetector::load(&testing::assets()).unwrap();
    let interrupt = Interrupt::new();
    for (name, file) in testing::huge_files() {
        let growth = peak_growth(|| {
            let error = detector.detect(&file, &interrupt).unwrap_err();
            assert!(matches!(error, ModelError::Input(_)), "{name}: {error}");
        });
        assert!(growth < 8, "{name}: {growth} MiB");
    }

    // 40 MB each of color profile and of text, compressed to a thousandth. Neither is read.
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
