//! Items of a DynamoDB table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use mesh_backend::BackendError;

use crate::error::setup;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Parses an item that `call` returned.
pub(crate) fn read<T: DeserializeOwned>(item: Item, call: &'static str) -> Result<T, BackendError> {
    serde_dynamo::from_item(item).map_err(|error| setup(call, error))
}

pub(crate) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A string attribute; `None` if it is missing or not a string.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)
        .and_then(|value| AttributeValue::as_s(value).ok())
        .map(String::as_str)
}
