//! How long a request waits for a task that no worker takes.

use std::time::{Duration, Instant};

use mesh_tests::{Api, Lane, eventually};

mod serial {
    use super::*;

    #[test]
    fn a_wait_lasts_for_its_time_or_until_the_task_is_final() {
        let api = Api::of_cloud();
        let id = Lane::Text.paused(|| {
            let id = api.submit_text("fine", &[]);
            let sent = Instant::now();
            let reply = api.get(&format!("/v1/tasks/{id}?wait=1"));
            let took = sent.elapsed();
            assert_eq!((reply.status, reply.text("status")), (200, "pending"));
            assert!(
                (Duration::from_secs(1)..Duration::from_secs(19)).contains(&took),
                "{took:?}"
            );
            id
        });
        eventually("a wait ends before its time, when the task is final", || {
            let sent = Instant::now();
            let reply = api.get(&format!("/v1/tasks/{id}?wait=20"));
            assert_eq!(reply.status, 200, "{reply:?}");
            (reply.text("status") == "completed" && sent.elapsed() < Duration::from_secs(20)).then_some(())
        });
    }
}
