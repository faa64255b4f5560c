//! What a schema uses of its limits.

use std::io;

use serde_json::Value;

use super::class_work::class_work;
use crate::{
    InvalidSchema, MAX_CLASS_WORK, MAX_INLINED_BYTES, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_SCHEMA_DEPTH,
    MAX_SUBSCHEMAS, MAX_UNEVALUATED_DEPTH, PROPERTY_WORK, refuse,
};

/// Counts while a schema is inlined. Each count fails at its limit, so that whatever is counted first is never built beyond it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    subschemas: usize,
    /// At least the length of the JSON.
    bytes: usize,
    patterns: usize,
    pattern_bytes: usize,
    class_work: usize,
    /// How many schemas with `unevaluatedProperties` or `unevaluatedItems` the current one is in, itself included.
    unevaluated_depth: usize,
}

impl Usage {
    pub(super) fn patterns(&self) -> usize {
        self.patterns
    }

    pub(super) fn add_subschema(&mut self, depth: usize) -> Result<(), InvalidSchema> {
        self.subschemas += 1;
        if depth > MAX_SCHEMA_DEPTH {
            return refuse(format!(
                "is nested too deeply: send at most {MAX_SCHEMA_DEPTH} levels"
            ));
        }
        if self.subschemas > MAX_SUBSCHEMAS {
            return refuse(format!(
                "is too large once its references are inlined: send at most {MAX_SUBSCHEMAS} subschemas"
            ));
        }
        Ok(())
    }

    pub(super) fn enter_unevaluated(&mut self) -> Result<(), InvalidSchema> {
        self.unevaluated_depth += 1;
        if self.unevaluated_depth > MAX_UNEVALUATED_DEPTH {
            return refuse(format!(
                "has unevaluatedProperties or unevaluatedItems within each other: send at most {MAX_UNEVALUATED_DEPTH} levels, \
                 or use additionalProperties"
            ));
        }
        Ok(())
    }

    pub(super) fn leave_unevaluated(&mut self) {
        self.unevaluated_depth -= 1;
    }

    pub(super) fn add_pattern(&mut self, pattern: &str) -> Result<(), InvalidSchema> {
        self.patterns += 1;
        self.pattern_bytes += pattern.len();
        if self.patterns > MAX_PATTERNS {
            return refuse(format!(
                "has too many patterns once its references are inlined: send at most {MAX_PATTERNS}"
            ));
        }
        if self.pattern_bytes > MAX_PATTERN_BYTES {
            return refuse(format!(
                "has too long patterns: send at most {MAX_PATTERN_BYTES} bytes of them in all"
            ));
        }
        self.class_work = self.class_work.saturating_add(class_work(pattern));
        if self.class_work > MAX_CLASS_WORK {
            let properties = MAX_CLASS_WORK / PROPERTY_WORK;
            return refuse(format!(
                "has patterns whose character classes take too long to compile: ignore the case of smaller classes, like \
                 (?i)[a-z], and send at most {properties} properties like \\p{{L}} in all"
            ));
        }
        Ok(())
    }

    /// Counts the brackets and commas of a list or an object.
    pub(super) fn add_container(&mut self, entries: usize) -> Result<(), InvalidSchema> {
        self.add_bytes("[]".len() + entries.saturating_sub(1))
    }

    /// Counts the name of a member, with its colon.
    pub(super) fn add_name(&mut self, name: &str) -> Result<(), InvalidSchema> {
        serde_json::to_writer(&mut *self, name).or_else(|_| refuse_size())?;
        self.add_bytes(":".len())
    }

    pub(super) fn add_value(&mut self, value: &Value) -> Result<(), InvalidSchema> {
        serde_json::to_writer(self, value).or_else(|_| refuse_size())
    }

    pub(super) fn add_bytes(&mut self, bytes: usize) -> Result<(), InvalidSchema> {
        self.bytes += bytes;
        if self.bytes > MAX_INLINED_BYTES {
            return refuse_size();
        }
        Ok(())
    }
}

fn refuse_size() -> Result<(), InvalidSchema> {
    refuse(format!(
        "is too large once its references are inlined: send at most {MAX_INLINED_BYTES} bytes"
    ))
}

/// Counts the JSON that is written, and stores none of it. The error ends the writing; its text is not read.
impl io::Write for Usage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add_bytes(bytes.len()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
