//! Meters the calls to AWS of one future, for tests and benchmarks: how many calls, items read and capacity units. Compiled
//! in by the feature `faults`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use serde::{Deserialize, Serialize};

/// The calls that a future made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metered {
    /// Calls to AWS by operation; each attempt counts.
    pub calls: BTreeMap<String, u32>,
    /// Items that queries read (`ScannedCount`).
    pub scanned: u32,
    /// Read and write capacity units of the table and its indexes.
    pub capacity: f64,
}

tokio::task_local! {
    static METER: Arc<Mutex<Metered>>;
}

/// Runs a future and returns its output and its calls.
pub async fn metered<F: Future>(future: F) -> (F::Output, Metered) {
    let meter = Arc::new(Mutex::new(Metered::default()));
    let output = METER.scope(Arc::clone(&meter), future).await;
    let metered = meter.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (output, metered)
}

fn record(change: impl FnOnce(&mut Metered)) {
    // Outside of a metered future the call is not recorded.
    let _ = METER.try_with(|meter| change(&mut meter.lock().unwrap_or_else(PoisonError::into_inner)));
}

pub(crate) fn count_call(operation: &str) {
    record(|metered| *metered.calls.entry(operation.to_owned()).or_default() += 1);
}

/// Requests the consumed capacity with each call to DynamoDB.
#[derive(Debug)]
pub(crate) struct RequestCapacity;

macro_rules! request_capacity {
    ($input:expr, $($type:ty),+) => {
        $(if let Some(input) = $input.downcast_mut::<$type>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        })+
    };
}

macro_rules! record_capacity {
    ($output:expr, $($type:ty),+) => {
        $(if let Some(output) = $output.downcast_ref::<$type>() {
            record(|metered| metered.capacity += output.consumed_capacity.iter().flat_map(Units::units).sum::<f64>());
        })+
    };
}

/// The capacity units in a response: one figure, or in a batch one for each table.
trait Units {
    fn units(&self) -> Vec<f64>;
}

impl Units for ConsumedCapacity {
    fn units(&self) -> Vec<f64> {
        self.capacity_units.into_iter().collect()
    }
}

impl Units for Vec<ConsumedCapacity> {
    fn units(&self) -> Vec<f64> {
        self.iter().filter_map(|one| one.capacity_units).collect()
    }
}

impl Intercept for RequestCapacity {
    fn name(&self) -> &'static str {
        "RequestCapacity"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        request_capacity!(
            input,
            BatchGetItemInput,
            BatchWriteItemInput,
            GetItemInput,
            PutItemInput,
            QueryInput,
            UpdateItemInput
        );
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error() else {
            return Ok(());
        };
        record_capacity!(
            output,
            BatchGetItemOutput,
            BatchWriteItemOutput,
            GetItemOutput,
            PutItemOutput,
            QueryOutput,
            UpdateItemOutput
        );
        if let Some(query) = output.downcast_ref::<QueryOutput>() {
            record(|metered| metered.scanned += u32::try_from(query.scanned_count).unwrap_or(0));
        }
        Ok(())
    }
}
