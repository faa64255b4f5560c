//! An item of a DynamoDB table, whatever it holds.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use crate::AwsError;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// What an item says that `call` answered.
pub(crate) fn read<T: DeserializeOwned>(item: Item, call: &'static str) -> Result<T, AwsError> {
    serde_dynamo::from_item(item).map_err(|error| AwsError::setup(call, error))
}

pub(crate) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(of: impl ToString) -> AttributeValue {
    AttributeValue::N(of.to_string())
}
