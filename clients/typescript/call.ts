// Calls the API with the types that `cargo xtask clients` generates: submits a text and waits for the result.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({
  baseUrl: process.env.AI_MESH_URL,
  headers: { "X-Service-Token": process.env.AI_MESH_TOKEN },
});

const accepted = await client.POST("/v1/tasks", {
  body: { type: "sentiment", input: { text: "What a delightful little machine." } },
});
if (!accepted.data) throw new Error(accepted.error.detail);
const done = await client.GET("/v1/tasks/{id}", {
  params: { path: { id: accepted.data.id }, query: { wait: 20 } },
});
if (done.data?.status !== "completed") throw new Error(JSON.stringify(done.data ?? done.error));
if (!done.data.result || !("score" in done.data.result)) throw new Error("the result has no score");
console.log(`${done.data.result.label} with score ${done.data.result.score.toFixed(3)}`);
