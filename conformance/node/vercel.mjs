// The Vercel AI SDK with its defaults (OpenAI's provider speaks Responses): prints {test: null | what it said} as JSON.
import { readFileSync } from "node:fs";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { GATEWAY_URL: url, GATEWAY_KEY: apiKey, SAMPLE_PNG: png } = process.env;
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey });
const models = { Responses: openai("m"), chat: openai.chat("m"), Messages: anthropic("claude-m") };
const image = [{ type: "text", text: "Say: red" }, { type: "image", image: readFileSync(png) }];
const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const expect = (found, wanted) => {
  if (found !== wanted) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
};
const tests = {
  text: async (model) => expect((await generateText({ model, prompt: "Say: hello", maxRetries: 0 })).text, "hello"),
  stream: async (model) => expect(await streamText({ model, prompt: "Say: hello", maxRetries: 0 }).text, "hello"),
  image: async (model) => {
    const messages = [{ role: "user", content: image }];
    expect((await generateText({ model, messages, maxRetries: 0 })).text, "red");
  },
  tool: async (model) => {
    const prompt = "What is the weather in Ulm?";
    const stopWhen = stepCountIs(3);
    const { steps } = await generateText({ model, prompt, tools: { get_weather: weather }, stopWhen, maxRetries: 0 });
    expect(steps[0].toolResults[0]?.output, "sunny in Ulm");
    expect(steps.length, 2);
  },
  "second turn": async (model) => {
    const first = [{ role: "user", content: "Say: hello" }];
    const { response } = await generateText({ model, messages: first, maxRetries: 0 });
    const messages = [...first, ...response.messages, { role: "user", content: "Say: again" }];
    expect((await generateText({ model, messages, maxRetries: 0 })).text, "again");
  },
};

const found = {};
for (const [dialect, model] of Object.entries(models))
  for (const [name, test] of Object.entries(tests))
    found[`${dialect}: ${name}`] = await test(model).then(() => null, (error) => String(error.responseBody ?? error));
console.log(JSON.stringify(found));
