//! Renders a conditional write as DynamoDB expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use mesh_backend::BackendError;
use mesh_task::{Change, Condition, Field, Write};

use super::number;
use crate::error::setup;

/// Adds the write's condition and changes to an UpdateItem, and the placeholders of the write token
/// (`#write_token = :write_token`), whose values the caller sets.
pub(super) fn render(
    write: &Write,
    update: UpdateItemFluentBuilder,
) -> Result<UpdateItemFluentBuilder, BackendError> {
    let mut builder = ExpressionBuilder {
        update,
        values: 0,
        error: None,
    };
    #[cfg(feature = "faults")]
    let write = &crate::faults::broken(write);
    let condition = builder.condition(&write.condition);
    let (mut set, mut remove) = (vec!["#write_token = :write_token".to_owned()], Vec::new());
    for change in &write.changes {
        match change {
            Change::Set(field, value) => {
                let (name, value) = (builder.name(*field), builder.json(value));
                set.push(format!("{name} = {value}"));
            }
            Change::Add(field, by) => {
                let (name, by) = (builder.name(*field), builder.value(number(by)));
                set.push(format!("{name} = {name} + {by}"));
            }
            Change::Append(field, element) => {
                let list = serde_json::Value::Array(vec![element.clone()]);
                let (name, list) = (builder.name(*field), builder.json(&list));
                set.push(format!("{name} = list_append({name}, {list})"));
            }
            Change::Remove(field) => remove.push(builder.name(*field)),
        }
    }
    let mut changes = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        changes.push_str(&format!(" REMOVE {}", remove.join(", ")));
    }
    match builder.error {
        Some(error) => Err(setup("UpdateItem", error)),
        None => Ok(builder
            .update
            .condition_expression(condition)
            .update_expression(changes)),
    }
}

/// A projection expression of these attributes and its placeholder names: DynamoDB reserves some words (`status`).
pub(super) fn projection(attributes: &[&str]) -> Option<(String, HashMap<String, String>)> {
    if attributes.is_empty() {
        return None;
    }
    let names: Vec<_> = attributes.iter().map(|name| format!("#{name}")).collect();
    let originals = attributes.iter().map(|name| (*name).to_owned());
    Some((names.join(", "), names.iter().cloned().zip(originals).collect()))
}

/// Collects an expression's placeholders: for names, since DynamoDB reserves some words (`status`), and for values, since
/// an expression can't contain literals.
struct ExpressionBuilder {
    update: UpdateItemFluentBuilder,
    values: usize,
    error: Option<serde_dynamo::Error>,
}

impl ExpressionBuilder {
    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Is(field, value) => format!("{} = {}", self.name(*field), self.json(value)),
            Condition::Absent(field) => format!("attribute_not_exists({})", self.name(*field)),
            Condition::AtMost(field, most) => {
                format!("{} <= {}", self.name(*field), self.value(number(most)))
            }
            Condition::Below(field, bound) => {
                format!("{} < {}", self.name(*field), self.value(number(bound)))
            }
            Condition::BelowField(field, bound) => format!("{} < {}", self.name(*field), self.name(*bound)),
            Condition::All(conditions) => self.joined(conditions, " AND "),
            Condition::Any(conditions) => self.joined(conditions, " OR "),
        }
    }

    fn joined(&mut self, conditions: &[Condition], word: &str) -> String {
        let parts: Vec<_> = conditions
            .iter()
            .map(|condition| self.condition(condition))
            .collect();
        format!("({})", parts.join(word))
    }

    fn name(&mut self, field: Field) -> String {
        let name = format!("#{}", field.name());
        self.update = self
            .update
            .clone()
            .expression_attribute_names(name.clone(), field.name());
        name
    }

    fn json(&mut self, value: &serde_json::Value) -> String {
        match serde_dynamo::to_attribute_value(value) {
            Ok(value) => self.value(value),
            Err(error) => {
                self.error = Some(error);
                String::new()
            }
        }
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let name = format!(":v{}", self.values);
        self.values += 1;
        self.update = self
            .update
            .clone()
            .expression_attribute_values(name.clone(), value);
        name
    }
}
