use std::sync::Arc;

use jiff::Timestamp;
use mesh_task::{Isolation, Message, TaskId, Tenant};

use super::*;

fn faults(specification: &str) -> Faults {
    specification.parse().unwrap()
}

#[test]
fn a_specification_is_parsed_or_refused_as_a_whole() {
    let parsed = faults(" UpdateItem=after , *=delay:0.25,SendMessage=before#3, ");
    let parsed: Vec<_> = parsed
        .0
        .iter()
        .map(|fault| (fault.call.as_str(), fault.kind, fault.when))
        .collect();
    assert_eq!(
        parsed,
        [
            ("UpdateItem", Kind::After, When::Share(1.0)),
            ("*", Kind::Delay, When::Share(0.25)),
            ("SendMessage", Kind::Before, When::Nth(3)),
        ]
    );
    assert!(faults("").0.is_empty());
    for wrong in [
        "UpdateItem",
        "=before",
        "UpdateItem=",
        "UpdateItem=befor",
        "Update Item=before",
        "SendMesage=before",
        "UpdateItem=before:",
        "UpdateItem=before:1.5",
        "UpdateItem=before:-1",
        "UpdateItem=before:NaN",
        "UpdateItem=before#",
        "UpdateItem=before#0",
        "UpdateItem=before#2:0.5",
        "PutItem=after,UpdateItem:before",
    ] {
        let error = wrong.parse::<Faults>().unwrap_err();
        assert!(error.to_string().contains("is not a fault"), "{wrong}: {error}");
    }
}

#[tokio::test]
#[should_panic(expected = "is not a fault")]
async fn a_misspelt_scope_fails_its_test_instead_of_injecting_nothing() {
    scope("SendMesage=before", async {}).await;
}

#[test]
fn the_nth_call_of_an_operation_fails_and_no_other() {
    let faults = faults("UpdateItem=before#2,*=after#4");
    let calls = ["UpdateItem", "PutItem", "UpdateItem", "UpdateItem", "UpdateItem"];
    assert_eq!(
        calls.map(|call| faults.inject(call)),
        [None, None, Some(Kind::Before), Some(Kind::After), None]
    );
}

#[test]
fn a_share_of_the_calls_fails() {
    let faults = faults("PutItem=before:0,UpdateItem=after:1,Query=delay:0.5");
    assert!((0..100).all(|_| faults.inject("PutItem").is_none()));
    assert!((0..100).all(|_| faults.inject("UpdateItem") == Some(Kind::After)));
    assert!((0..100).all(|_| faults.inject("GetItem").is_none()));
    let delayed = (0..1_000).filter(|_| faults.inject("Query").is_some()).count();
    assert!((300..700).contains(&delayed), "{delayed} of 1000");
}

/// Counts the calls that reach the network, and answers each with 200.
#[derive(Debug, Clone, Default)]
struct Network(Arc<AtomicU32>);

impl HttpConnector for Network {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Relaxed);
        let ok = StatusCode::try_from(200).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::empty())))
    }
}

/// The result of one UpdateItem under these faults (the response's status, or whether the SDK would retry the error), and
/// how many calls reached the network.
async fn update_item(specification: &str) -> (Result<u16, bool>, u32) {
    let network = Network::default();
    let connector = FaultyConnector(SharedHttpConnector::new(network.clone()));
    let mut request = HttpRequest::new(SdkBody::empty());
    request
        .headers_mut()
        .insert("x-amz-target", "DynamoDB_20120810.UpdateItem");
    let response = SCOPED_FAULTS
        .scope(faults(specification), async { connector.call(request).await })
        .await;
    let result = response
        .map(|response| response.status().as_u16())
        .map_err(|error| error.is_io());
    (result, network.0.load(Relaxed))
}

#[tokio::test]
async fn each_kind_fails_where_it_says() {
    assert_eq!(update_item("").await, (Ok(200), 1));
    assert_eq!(update_item("PutItem=before").await, (Ok(200), 1));
    assert_eq!(update_item("UpdateItem=before").await, (Err(false), 0));
    assert_eq!(update_item("*=after").await, (Err(false), 1));
    assert_eq!(update_item("UpdateItem=resend").await, (Err(true), 1));
    assert_eq!(update_item("UpdateItem=throttle").await, (Ok(400), 0));
}

#[tokio::test]
async fn a_delayed_call_takes_effect_once() {
    assert_eq!(update_item("UpdateItem=delay").await, (Ok(200), 1));
}

#[test]
fn a_removed_guard_leaves_the_rest_of_the_condition() {
    let now = Timestamp::now();
    let message = Message {
        tenant: Tenant::first(),
        id: TaskId::generate(),
        generation: 1,
    };
    let claim = mesh_task::claim(&message, Isolation::Isolated, now, now);
    let Condition::All(parts) = &claim.condition else {
        panic!("a claim has several conditions: {claim:?}")
    };
    let broken = without_guard(&claim, Guard::Claim);
    assert_eq!(broken.changes, claim.changes);
    // Generation and attempts are still checked; who holds the task is not.
    assert_eq!(broken.condition, Condition::All(parts[..2].to_vec()));

    let task = crate::testing::task();
    let renew = task.renew(now);
    assert_eq!(
        without_guard(&renew, Guard::Claim),
        renew,
        "only claims lose that guard"
    );
    let without_fence = without_guard(&renew, Guard::Fence).condition;
    assert_eq!(
        without_fence,
        Condition::Is(Field::Status, Status::Processing.as_str().into())
    );
    assert_eq!("fences".parse::<Guard>().ok(), None);
}

#[test]
fn a_condition_about_nothing_else_is_gone() {
    let fence = Condition::Is(Field::Fence, 1.into());
    let absent = Condition::Absent(Field::LeaseUntil);
    let below = Condition::BelowField(Field::Attempt, Field::MaxAttempts);
    let without = |condition: Condition, fields: &[Field]| without_fields(&condition, fields);
    assert_eq!(without(fence.clone(), &[Field::Fence]), None);
    assert_eq!(without(fence.clone(), &[Field::Status]), Some(fence.clone()));
    // One alternative that holds makes the whole hold.
    let any = Condition::Any(vec![fence.clone(), absent]);
    assert_eq!(without(any.clone(), &[Field::Fence]), None);
    assert_eq!(without(any.clone(), &[Field::Attempt]), Some(any.clone()));
    let all = Condition::All(vec![fence, any.clone(), below.clone()]);
    assert_eq!(
        without(all.clone(), &[Field::Attempt]),
        Some(Condition::All(vec![Condition::Is(Field::Fence, 1.into()), any,]))
    );
    assert_eq!(without(all, &[Field::Fence]), Some(below));
}
