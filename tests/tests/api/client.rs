//! The client crate against the stack: each of its calls once, and the errors for refusals.

use std::time::Duration;

use mesh_client::{Client, Error, Filter, RedriveTarget, Source, Submission};
use mesh_task::{Parameters, Status, TaskId, TaskResult, TaskType};
use mesh_tests::{TIMEOUT, pictures};

fn client() -> Client {
    Client::from_env().expect("the URL and the token are valid")
}

fn sentiment(text: &str) -> Submission {
    Submission::new(&Parameters::Sentiment, &Source::Text(text.to_owned()))
}

fn slug(error: &Error) -> &str {
    match error {
        Error::Problem(problem) => problem.slug(),
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn a_text_is_submitted_waited_for_listed_and_counted() {
    let client = client();
    let now = client.changes(None, Duration::ZERO).await.unwrap();
    let key = TaskId::generate().to_string();
    let submission = sentiment("I loved every minute of it.").metadata("client", &key);
    let accepted = client.submit_keyed(&submission, &key).await.unwrap();
    assert_eq!(
        client.submit_keyed(&submission, &key).await.unwrap().id,
        accepted.id
    );
    let task = client.wait(accepted.id, TIMEOUT).await.unwrap();
    assert_eq!(
        (task.status, task.task_type),
        (Status::Completed, TaskType::Sentiment)
    );
    assert!(matches!(task.result, Some(TaskResult::Sentiment(_))), "{task:?}");
    assert!(task.timings.is_some() && task.model.is_some(), "{task:?}");

    let filter = Filter {
        metadata: [("client".to_owned(), key)].into(),
        created_after: Some(task.created_at),
        ..Filter::default()
    };
    let listed = client.list_all(&filter, 10).await.unwrap();
    assert_eq!(
        listed.iter().map(|task| task.id).collect::<Vec<_>>(),
        [accepted.id]
    );
    let mut after = now.next;
    loop {
        let seen = client
            .changes(Some(&after), Duration::from_secs(20))
            .await
            .unwrap();
        assert!(
            !seen.changes.is_empty(),
            "the change log contains the task's changes"
        );
        if seen
            .changes
            .iter()
            .any(|change| change.id == accepted.id && change.status.as_str() == "completed")
        {
            break;
        }
        after = seen.next;
    }
    assert!(client.stats().await.unwrap().total > 0);
    let models = client.models().await.unwrap();
    assert!(
        models
            .iter()
            .any(|model| model.task_types.contains(&TaskType::Sentiment))
    );
}

#[tokio::test]
async fn a_face_is_detected_on_an_uploaded_picture() {
    let client = client();
    let file = pictures::encode(&pictures::astronaut(), image::ImageFormat::Png);
    let id = client.upload("image/png", file).await.unwrap();
    let submission = Submission::new(&Parameters::FaceDetection, &Source::Upload(id));
    let task = client.submit(&submission).await.unwrap();
    let task = client.wait(task.id, TIMEOUT).await.unwrap();
    let Some(TaskResult::FaceDetection(found)) = &task.result else {
        panic!("{task:?}")
    };
    assert_eq!(found.count, 1);
}

#[tokio::test]
async fn refusals_are_errors_with_their_problem_type() {
    let client = client();
    let blank = sentiment(" ");
    assert_eq!(slug(&client.submit(&blank).await.unwrap_err()), "invalid-input");
    let each = client
        .submit_batch(&[sentiment("fine"), blank], None)
        .await
        .unwrap();
    assert_eq!(slug(each[1].as_ref().unwrap_err()), "invalid-input");
    let id = each[0].as_ref().unwrap().id;
    assert_eq!(client.wait(id, TIMEOUT).await.unwrap().status, Status::Completed);
    assert_eq!(slug(&client.cancel(id).await.unwrap_err()), "task-is-final");
    assert_eq!(slug(&client.retry(id).await.unwrap_err()), "task-not-retryable");
    assert_eq!(
        slug(&client.get(TaskId::generate()).await.unwrap_err()),
        "task-not-found"
    );

    let redriven = client.redrive(&RedriveTarget::Ids(vec![id]), None).await.unwrap();
    assert_eq!(
        (redriven.redriven.len(), redriven.skipped),
        (0, vec![id.to_string()])
    );
    let page = client
        .dead_letters(Some(TaskType::Transcribe), None)
        .await
        .unwrap();
    assert!(
        page.dead_letters
            .iter()
            .all(|task| task.task_type == TaskType::Transcribe)
    );
    let with_wrong_token = Client::new(&mesh_tests::setting("AI_MESH_URL"), "wrong").unwrap();
    assert_eq!(slug(&with_wrong_token.stats().await.unwrap_err()), "unauthorized");
}
