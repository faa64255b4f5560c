// What to do about a task's error code. The advice agrees with the table of codes in docs/API.md.

const SEND_WHOLE = "The file is truncated or damaged. Send it whole.";
const SMALLER = "The message states the limit. Send a smaller input.";
const PARTS = "The message states the limit. Send the recording in parts.";
const LATER = "Retry the task later. If it fails again, search the stack's logs for its correlation id.";
const OPERATOR = "Ask the operator of the stack to check the settings.";

const ADVICE: Record<string, string> = {
  unsupported_image_type: "Send the picture as JPEG, PNG, WebP, GIF or BMP.",
  invalid_image: SEND_WHOLE,
  image_too_large: SMALLER,
  unsupported_audio_type: "Send the recording as WAV, FLAC, MP3 or OGG (Vorbis).",
  invalid_audio: SEND_WHOLE,
  audio_too_long: PARTS,
  audio_too_large: PARTS,
  invalid_input: "The message says which part of the input is invalid. Correct it and submit the task again.",
  text_too_long: "The message states the limit of the stack's language model. Send a shorter text.",
  provider_not_configured:
    "This stack has no language model. Its operator must set the parameters that the message names.",
  provider_refused: `The provider rejected the stack's key, its model or the request. ${OPERATOR}`,
  invalid_answer: "The language model's answer did not have the required form. Retry, or simplify the request.",
  invalid_extraction: "The answer did not fit the schema. Simplify the schema, or add details to the text.",
  panic: "The input revealed a bug in the worker. Please report it with the task's id.",
  payload_missing: "The stored input is missing. Submit the task again.",
  payload_changed: "The stored input was changed. Submit the task again.",
  result_too_large: SMALLER,
  wrong_worker: `A queue delivers to another worker's function. ${OPERATOR}`,
  timeout: "Send a smaller input, or give the worker more time.",
  inference_failed: LATER,
  storage_unavailable: LATER,
  worker_unavailable: "The server could not start the model: see its log. The task runs again by itself.",
  provider_unavailable: "The language model's provider did not respond. Retry the task later.",
  provider_throttled: "The provider limits the number of requests. Retry the task later.",
  throttled: "The stack reached a limit of requests. Retry the task later.",
  crashed:
    "The worker's process crashed in every attempt. The input may be too large for its memory: send a smaller one.",
};

export function advice(code: string): string {
  return ADVICE[code] ?? LATER;
}
