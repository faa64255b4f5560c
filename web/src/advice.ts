// What to do about a task's error: the same as docs/API.md says, for whoever stands before it.

const SEND_WHOLE = "The file is cut short or damaged. Send it whole.";
const SMALLER = "The message names the limit. Send a smaller input.";
const LATER = "Retry the task in a while; if it fails again, the operator's logs know it by its correlation id.";

const ADVICE: Record<string, string> = {
  unsupported_image_type: "Send the picture as JPEG, PNG, WebP, GIF or BMP.",
  invalid_image: SEND_WHOLE,
  image_too_large: SMALLER,
  unsupported_audio_type: "Send the recording as WAV, FLAC, MP3 or OGG (Vorbis).",
  invalid_audio: SEND_WHOLE,
  audio_too_long: "The message names the limit. Send the recording in parts.",
  audio_too_large: "The message names the limit. Send the recording in parts.",
  invalid_input: "The message says what can't be read. Correct it and submit the task again.",
  text_too_long: "The message names the limit of the stack's language model. Send a shorter text.",
  provider_not_configured: "This stack has no language model. Its operator sets the parameters that the message names.",
  provider_refused: "The provider refused the stack's key, its model or the request. Its operator must look at them.",
  invalid_answer: "The language model did not keep to the form asked for. Retry, or ask for something simpler.",
  invalid_extraction: "The answer did not fit the schema. Simplify the schema, or say more in the text.",
  panic: "The input made the worker fail in a way that is a bug. Please report it with the task's id.",
  payload_missing: "The stored input is gone. Submit the task again.",
  payload_changed: "The stored input was changed. Submit the task again.",
  result_too_large: SMALLER,
  wrong_worker: "The stack is set up wrongly: a queue feeds another worker's function. Its operator must look at it.",
  timeout: "Send a smaller input, or give the worker more time.",
  inference_failed: LATER,
  storage_unavailable: LATER,
  provider_unavailable: "The language model's provider did not answer. Retry the task in a while.",
  provider_throttled: "The provider was asked too often. Retry the task in a while.",
  throttled: "More was asked than the stack may take at once. Retry the task in a while.",
  crashed:
    "Every attempt took its process along. The input may be too large for the worker's memory: send a smaller one.",
};

export function advice(code: string): string {
  return ADVICE[code] ?? LATER;
}
