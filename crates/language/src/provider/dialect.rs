//! What servers of one and the same API don't agree on, found out by their refusals.

use serde_json::{Value, json};

use crate::prompt::Format;

/// How a server wants to be asked. The first guess is OpenAI's own way of today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    form: Form,
    max_tokens: &'static str,
    temperature: bool,
}

/// How a server is told of the answer's form. The instructions tell it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `{"type": "json_schema", ...}`: OpenAI, vLLM, llama.cpp, Ollama and most others.
    JsonSchema,
    /// `{"type": "json_object", "schema": ...}`: llama-cpp-python.
    JsonObject,
    /// Not at all.
    Words,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            form: Form::JsonSchema,
            max_tokens: "max_tokens",
            temperature: true,
        }
    }
}

impl Dialect {
    /// Adds to a request what it is said in.
    pub(super) fn apply(self, request: &mut Value, format: &Format, max_tokens: u32) {
        request[self.max_tokens] = max_tokens.into();
        if self.temperature {
            // The likeliest answer, and the same each time, as far as the server can.
            request["temperature"] = 0.into();
        }
        let Format { name, schema } = format;
        match self.form {
            // Not strict: that would take a part of JSON Schema alone. What the server lets pass is validated here.
            Form::JsonSchema => {
                request["response_format"] =
                    json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } });
            }
            Form::JsonObject => {
                request["response_format"] = json!({ "type": "json_object", "schema": schema });
            }
            Form::Words => {}
        }
    }

    /// What else to try with a server that refused a request in these words, if they say what it did not like.
    pub(super) fn after(self, refusal: &str) -> Option<Self> {
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
        let is_form = ["response_format", "json_schema", "json_object", "grammar"]
            .iter()
            .any(|word| refusal.contains(word));
        let form = match self.form {
            _ if !is_form => return None,
            Form::JsonSchema => Form::JsonObject,
            Form::JsonObject => Form::Words,
            Form::Words => return None,
        };
        Some(Self { form, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_changes_what_it_names_and_the_trying_ends() {
        let first = Dialect::default();
        let tokens = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        let second = first.after(tokens).unwrap();
        assert_eq!(second.max_tokens, "max_completion_tokens");
        assert_eq!(second.after(tokens), None);
        let third = second.after("'temperature' does not support 0").unwrap();
        let form = "body.response_format.type: unknown";
        let last = third.after(form).and_then(|fourth| fourth.after(form)).unwrap();
        assert_eq!(last.form, Form::Words);
        assert_eq!(last.after(form), None);
        assert_eq!(first.after("the model is not loaded"), None);
    }
}
