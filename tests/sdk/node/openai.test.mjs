// The official `openai` SDK for Node against a served gateway.
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
  const told = await client.chat.completions.create({ model, messages });

  assert.match(told.choices[0].message.content, /640 x 427 pixels/);
  assert.equal(told.usage.prompt_tokens_details.image_tokens, 345);
});

test("a streamed chat completion says the same piece by piece", async () => {
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let said = "";
  for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? "";

  assert.match(said, /640 x 427 pixels/);
});

test("a response describes the photograph", async () => {
  const told = await client.responses.create({ model, input });

  assert.match(told.output_text, /640 x 427 pixels/);
  assert.equal(told.usage.input_tokens_details.image_tokens, 345);
});

test("a streamed response is assembled by the SDK", async () => {
  const stream = client.responses.stream({ model, input });
  const told = await stream.finalResponse();

  assert.equal(told.status, "completed");
  assert.match(told.output_text, /640 x 427 pixels/);
});

test("the models are listed", async () => {
  const listed = [];
  for await (const listedModel of client.models.list()) listed.push(listedModel.id);

  assert.deepEqual(listed, [model]);
});

test("a wrong key is the SDK's AuthenticationError", async () => {
  const stranger = new OpenAI({ baseURL: process.env.GATEWAY_V1, apiKey: "obs_wrong", maxRetries: 0 });

  await assert.rejects(stranger.chat.completions.create({ model, messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});
