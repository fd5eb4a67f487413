// The official `@anthropic-ai/sdk` for Node against a served gateway.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const baseURL = process.env.GATEWAY_V1.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey: process.env.GATEWAY_KEY, maxRetries: 0 });
const data = readFileSync(process.env.PHOTOGRAPH).toString("base64");
const asked = {
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
  const told = await client.messages.create(asked);

  assert.equal(told.stop_reason, "end_turn");
  assert.match(told.content[0].text, /640 x 427 pixels/);
  assert.equal(told.usage.image_tokens, 345);
});

test("a streamed message is assembled by the SDK", async () => {
  const stream = client.messages.stream(asked);
  const told = await stream.finalMessage();

  assert.match(told.content[0].text, /640 x 427 pixels/);
});

test("tokens are counted without asking the model", async () => {
  const { max_tokens: _, ...question } = asked;
  const counted = await client.messages.countTokens(question);

  assert.ok(counted.input_tokens > 345 && counted.input_tokens < 400, String(counted.input_tokens));
});

test("the models are listed in Anthropic's shape", async () => {
  const listed = await client.models.list();

  assert.equal(listed.data[0].id, "obscura-demo");
});

test("a wrong key is the SDK's AuthenticationError", async () => {
  const stranger = new Anthropic({ baseURL, apiKey: "obs_wrong", maxRetries: 0 });

  await assert.rejects(stranger.messages.create(asked), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.error.type, "authentication_error");
    return true;
  });
});
