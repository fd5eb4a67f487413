// The official `@anthropic-ai/sdk` for Node against a running gateway.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const baseURL = process.env.GATEWAY_V1.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey: process.env.GATEWAY_KEY, maxRetries: 0 });
const data = readFileSync(process.env.PHOTOGRAPH).toString("base64");
const request = {
  model: "obscura-demo",
  max_tokens: 200,
  messages: [
    {
      role: "user",
      content: [
        { type: "image", source: { type: "base64", media_type: "image/jpeg", data } },
        { type: "text", text: "What is this?" },
      ],
    },
  ],
};

test("a message describes the photograph", async () => {
  const message = await client.messages.create(request);

  assert.equal(message.stop_reason, "end_turn");
  assert.match(message.content[0].text, /640 x 427 pixels/);
  assert.equal(message.usage.image_tokens, 345);
});

test("a streamed message is assembled by the SDK", async () => {
  const stream = client.messages.stream(request);
  const message = await stream.finalMessage();

  assert.match(message.content[0].text, /640 x 427 pixels/);
});

test("tokens are counted without a call of the model", async () => {
  const { max_tokens: _, ...question } = request;
  const counted = await client.messages.countTokens(question);

  assert.ok(counted.input_tokens > 345 && counted.input_tokens < 400, String(counted.input_tokens));
});

test("the models are listed in Anthropic's format", async () => {
  const listed = await client.models.list();

  assert.equal(listed.data[0].id, "obscura-demo");
});

test("a wrong key is the SDK's AuthenticationError", async () => {
  const unauthenticated = new Anthropic({ baseURL, apiKey: "obs_wrong", maxRetries: 0 });

  await assert.rejects(unauthenticated.messages.create(request), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.error.type, "authentication_error");
    return true;
  });
});
