//! Calls to AWS that fail while the end of an attempt is written.

use mesh_tests::clients;

#[test]
fn calls_that_fail_while_an_attempt_is_settled_lose_nothing() {
    let (api, cloud) = clients();
    // Half of the responses are lost. The AWS client repeats those calls, and the worker recognizes its own write.
    let ids: Vec<_> = (0..20)
        .map(|_| api.submit_text("fine", &[("fault", "call:UpdateItem=resend:0.5")]))
        .collect();
    for id in ids {
        api.completed(&id, 1);
        assert_eq!(cloud.item(&id)["fence"].as_n().map(String::as_str), Ok("1"));
    }
    // The end is written, but the worker gets an error. The next delivery finds the task final.
    let id = api.submit_text("fine", &[("fault", "call:UpdateItem=after")]);
    api.completed(&id, 1);
    // The end of none of the three attempts can be written. The task fails with its attempts exhausted.
    let id = api.submit_text("fine", &[("fault", "call:UpdateItem=before")]);
    let task = api.failed(&id, "exhausted", "crashed");
    assert_eq!(task["attempt"], 3, "{task}");
    assert!(task.get("result").is_none(), "{task}");
}
