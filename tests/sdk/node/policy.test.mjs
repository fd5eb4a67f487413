// The official SDKs for Node through /policy: another base URL, and the extra field `policy_id`.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const policy = `${new URL(process.env.GATEWAY_V1).origin}/policy`;
const apiKey = process.env.GATEWAY_KEY;
const openai = new OpenAI({ baseURL: `${policy}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: policy, apiKey, maxRetries: 0 });
const model = "obscura-demo";
const policy_id = "node";
const messages = [{ role: "user", content: "Write to ann@example.com" }];
const refused = [{ role: "user", content: "a wire transfer" }];

test("each chunk of a chat completion has the decision", async () => {
  const stream = await openai.chat.completions.create({ model, messages, stream: true, policy_id });
  let text = "";
  const decisions = new Set();
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    decisions.add(chunk.policy.decision);
  }

  assert.ok(text.length > 0);
  assert.deepEqual([...decisions], ["redact"]);
});

test("a whole chat completion has the decision in body and headers", async () => {
  const { data, response } = await openai.chat.completions.create({ model, messages, policy_id }).withResponse();

  assert.equal(data.policy.policy_id, policy_id);
  assert.equal(response.headers.get("x-policy-decision"), "redact");
});

test("a streamed response is assembled by the SDK", async () => {
  const stream = openai.responses.stream({ model, input: messages, policy_id });
  const decisions = new Set();
  stream.on("event", (event) => decisions.add(event.policy.decision));
  const response = await stream.finalResponse();

  assert.equal(response.status, "completed");
  assert.ok(response.output_text.length > 0);
  assert.deepEqual([...decisions], ["redact"]);
});

test("a streamed message is assembled by the SDK", async () => {
  const stream = anthropic.messages.stream({ model, max_tokens: 99, messages, policy_id });
  const decisions = new Set();
  stream.on("streamEvent", (event) => decisions.add(event.policy.decision));
  const message = await stream.finalMessage();

  assert.ok(message.content[0].text.length > 0);
  assert.deepEqual([...decisions], ["redact"]);
});

test("a block is the SDK's own error, with the code and the decision", async () => {
  const chat = openai.chat.completions.create({ model, messages: refused, stream: true, policy_id });
  await assert.rejects(chat, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, "policy_blocked");
    assert.equal(error.headers.get("x-policy-decision"), "refuse");
    return true;
  });
  await assert.rejects(anthropic.messages.create({ model, max_tokens: 9, messages: refused, policy_id }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.error.error.code, "policy_blocked");
    assert.equal(error.error.policy.decision, "refuse");
    return true;
  });
});

test("an unknown policy is the SDK's own 404", async () => {
  const chat = openai.chat.completions.create({ model, messages, policy_id: "unknown" });
  await assert.rejects(chat, (error) => error instanceof OpenAI.NotFoundError && error.code === "policy_not_found");
});
