//! The differences between servers of the same API, detected from their error messages.

use serde_json::{Value, json};

use crate::prompt::ResponseFormat;

/// How a request is written. The default is what OpenAI's own API expects today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    format: FormatField,
    /// The name of the field for the token limit.
    max_tokens: &'static str,
    /// Whether the server accepts a temperature of 0.
    temperature: bool,
}

/// How the request states the response format. The instructions state it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormatField {
    /// `{"type": "json_schema", ...}`: OpenAI, vLLM, llama.cpp, Ollama and most others.
    JsonSchema,
    /// `{"type": "json_object", "schema": ...}`: llama-cpp-python.
    JsonObject,
    /// The request has no such field.
    Omitted,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: FormatField::JsonSchema,
            max_tokens: "max_tokens",
            temperature: true,
        }
    }
}

impl Dialect {
    /// Adds the response format, the token limit and the temperature to a request.
    pub(super) fn apply(self, request: &mut Value, format: &ResponseFormat, max_tokens: u32) {
        request[self.max_tokens] = max_tokens.into();
        if self.temperature {
            // The most likely output, and the same each time as far as the server can.
            request["temperature"] = 0.into();
        }
        let ResponseFormat { name, schema, .. } = format;
        match self.format {
            // Not strict, which supports only part of JSON Schema. The response is validated here in any case.
            FormatField::JsonSchema => {
                request["response_format"] =
                    json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } });
            }
            FormatField::JsonObject => {
                request["response_format"] = json!({ "type": "json_object", "schema": schema });
            }
            FormatField::Omitted => {}
        }
    }

    /// The dialect to try next after this error message, in lower case. `None` if the message names no known difference.
    pub(super) fn fallback(self, refusal: &str) -> Option<Self> {
        if self.max_tokens == "max_tokens" && refusal.contains("max_completion_tokens") {
            return Some(Self {
                max_tokens: "max_completion_tokens",
                ..self
            });
        }
        if self.temperature && refusal.contains("temperature") {
            return Some(Self {
                temperature: false,
                ..self
            });
        }
        let names_format = ["response_format", "json_schema", "json_object", "grammar"]
            .iter()
            .any(|word| refusal.contains(word));
        let format = match self.format {
            _ if !names_format => return None,
            FormatField::JsonSchema => FormatField::JsonObject,
            FormatField::JsonObject => FormatField::Omitted,
            FormatField::Omitted => return None,
        };
        Some(Self { format, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_changes_the_field_that_it_names_and_fallbacks_end() {
        let first = Dialect::default();
        let tokens = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        let second = first.fallback(tokens).unwrap();
        assert_eq!(second.max_tokens, "max_completion_tokens");
        assert_eq!(second.fallback(tokens), None);
        let third = second.fallback("'temperature' does not support 0").unwrap();
        let format = "body.response_format.type: unknown";
        let last = third
            .fallback(format)
            .and_then(|fourth| fourth.fallback(format))
            .unwrap();
        assert_eq!(last.format, FormatField::Omitted);
        assert_eq!(last.fallback(format), None);
        assert_eq!(first.fallback("the model is not loaded"), None);
    }
}
