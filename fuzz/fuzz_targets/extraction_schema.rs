//! `Schema::parse` refuses any JSON with a message, or makes a schema within the limits that an object can be validated against.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_extraction_schema::{MAX_INLINED_BYTES, Schema};
use serde_json::{Map, Value};

fuzz_target!(|schema: &[u8]| {
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else {
        return;
    };
    match Schema::parse(schema) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(schema) => {
            assert!(schema.as_json().to_string().len() <= MAX_INLINED_BYTES);
            let _conformed = schema.conform(Map::new());
        }
    }
});
