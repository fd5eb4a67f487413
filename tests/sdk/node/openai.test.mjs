// The official `openai` SDK for Node against a running gateway.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.GATEWAY_V1, apiKey: process.env.GATEWAY_KEY, maxRetries: 0 });
const url = "data:image/jpeg;base64," + readFileSync(process.env.PHOTOGRAPH).toString("base64");
const model = "obscura-demo";
const messages = [
  {
    role: "user",
    content: [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url } },
    ],
  },
];
const input = [
  {
    role: "user",
    content: [
      { type: "input_text", text: "What is this?" },
      { type: "input_image", image_url: url, detail: "auto" },
    ],
  },
];

test("a chat completion describes the photograph", async () => {
  const completion = await client.chat.completions.create({ model, messages });

  assert.match(completion.choices[0].message.content, /640 x 427 pixels/);
  assert.equal(completion.usage.prompt_tokens_details.image_tokens, 345);
});

test("a streamed chat completion has the same text", async () => {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";

  assert.match(text, /640 x 427 pixels/);
});

test("a response describes the photograph", async () => {
  const response = await client.responses.create({ model, input });

  assert.match(response.output_text, /640 x 427 pixels/);
  assert.equal(response.usage.input_tokens_details.image_tokens, 345);
});

test("a streamed response is assembled by the SDK", async () => {
  const stream = client.responses.stream({ model, input });
  const response = await stream.finalResponse();

  assert.equal(response.status, "completed");
  assert.match(response.output_text, /640 x 427 pixels/);
});

test("the models are listed", async () => {
  const listed = [];
  for await (const listedModel of client.models.list()) listed.push(listedModel.id);

  assert.deepEqual(listed, [model]);
});

test("a wrong key is the SDK's AuthenticationError", async () => {
  const unauthenticated = new OpenAI({ baseURL: process.env.GATEWAY_V1, apiKey: "obs_wrong", maxRetries: 0 });

  await assert.rejects(unauthenticated.chat.completions.create({ model, messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});
