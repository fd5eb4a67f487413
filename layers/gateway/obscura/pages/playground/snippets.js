// The request as code: curl, Python and TypeScript, without the key and without base64.

import { headersOf, MAX_ANSWER_TOKENS, pathOf, shownBody, template } from "./request.js";
import { apiUrl } from "./store.js";

export const LANGUAGES = { curl: "curl", python: "Python", typescript: "TypeScript" };

const KEY = "$OBSCURA_KEY";
const names = (request) => request.images.map((image) => image.name.replace(/[^\w.-]+/g, "-").slice(0, 40) || "image");
const PIECE = (name) => `@@${name}@@`;

/** Return code that sends the request. */
export function snippet(language, request) {
  return { curl, python, typescript }[language](request);
}

function curl(request) {
  const body = shownBody(request, (image) => `BASE64-OF-${image.name}`);
  const headers = Object.entries(headersOf(request, KEY)).map(([name, value]) => `  -H "${name}: ${value}"`);
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [`curl ${request.stream ? "-N " : ""}${apiUrl(pathOf(request))}`, ...headers, `  -d '${json}'`].join(" \\\n");
}

/** The body with a piece of code in place of each image's data. */
function body(request) {
  const plain = { ...template(request) };
  const files = names(request);
  const shown = shownBody(request, (image) => PIECE(`base64:${files[request.images.indexOf(image)]}`));
  const text = JSON.stringify({ ...shown, stream: undefined, stream_options: undefined }, null, 4);
  return { plain, text: request.images.reduce((code, image, index) => {
    const url = `"data:${image.mediaType};base64,…"`;
    return code.replace(url, `"${PIECE(`url:${files[index]}:${image.mediaType}`)}"`);
  }, text) };
}

const usesFiles = (request) => request.images.some((image) => !image.url);
const extraHeaders = (request) => {
  const { "X-Zero-Retention": zero, "X-Free-Tier": free } = headersOf(request, KEY);
  return { ...(zero ? { "X-Zero-Retention": zero } : {}), ...(free ? { "X-Free-Tier": free } : {}) };
};
const base = (request) => apiUrl(pathOf(request)).replace(/\/(v1\/)?(chat\/completions|messages|responses)$/, (_, v1) => (request.dialect === "messages" || !v1 ? "" : "/v1"));

function python(request) {
  const anthropic = request.dialect === "messages";
  const indented = body(request).text
    .replace(/"@@url:(.*?):(.*?)@@"/g, 'data_url("$1", "$2")')
    .replace(/"@@base64:(.*?)@@"/g, 'base64_of("$1")')
    .replace(/\b(true|false|null)\b(?=[,\n}\]])/g, (word) => ({ true: "True", false: "False", null: "None" })[word]);
  const call = anthropic ? "client.messages.create" : request.dialect === "chat" ? "client.chat.completions.create" : "client.responses.create";
  const extra = extraHeaders(request);
  const known = indented.replace(/\n {4}"policy_id": ("[^"]*")/, '\n    "extra_body": {"policy_id": $1}');
  const print = anthropic ? "answer.content[0].text" : request.dialect === "chat" ? "answer.choices[0].message.content" : "answer.output_text";
  const event = {
    chat: 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    messages: 'for event in answer:\n    if event.type == "content_block_delta":\n        print(event.delta.text, end="", flush=True)',
    responses: 'for event in answer:\n    if event.type == "response.output_text.delta":\n        print(event.delta, end="", flush=True)',
  }[request.dialect];
  return [
    usesFiles(request) ? "import base64" : null,
    "import os",
    usesFiles(request) ? "from pathlib import Path" : null,
    "",
    anthropic ? "from anthropic import Anthropic" : "from openai import OpenAI",
    "",
    `client = ${anthropic ? "Anthropic" : "OpenAI"}(base_url="${base(request)}", api_key=os.environ["OBSCURA_KEY"]${Object.keys(extra).length ? `, default_headers=${JSON.stringify(extra)}` : ""})`,
    "",
    usesFiles(request) ? "\ndef base64_of(path: str) -> str:\n    return base64.b64encode(Path(path).read_bytes()).decode()\n" : null,
    usesFiles(request) && !anthropic ? "\ndef data_url(path: str, media_type: str) -> str:\n    return f\"data:{media_type};base64,{base64_of(path)}\"\n\n" : null,
    `request = ${known}`,
    `answer = ${call}(**request${request.stream ? ", stream=True" : ""})`,
    request.stream ? event : `print(${print})`,
  ].filter((line) => line !== null).join("\n");
}

function typescript(request) {
  const anthropic = request.dialect === "messages";
  const code = body(request).text
    .replace(/"@@url:(.*?):(.*?)@@"/g, 'dataUrl("$1", "$2")')
    .replace(/"@@base64:(.*?)@@"/g, 'base64Of("$1")');
  const call = anthropic ? "client.messages.create" : request.dialect === "chat" ? "client.chat.completions.create" : "client.responses.create";
  const extra = extraHeaders(request);
  const delta = {
    chat: 'process.stdout.write(event.choices[0]?.delta?.content ?? "");',
    messages: 'if (event.type === "content_block_delta" && event.delta.type === "text_delta") process.stdout.write(event.delta.text);',
    responses: 'if (event.type === "response.output_text.delta") process.stdout.write(event.delta);',
  }[request.dialect];
  const print = { chat: "answer.choices[0].message.content", messages: "answer.content", responses: "answer.output_text" }[request.dialect];
  return [
    anthropic ? 'import Anthropic from "@anthropic-ai/sdk";' : 'import OpenAI from "openai";',
    usesFiles(request) ? 'import { readFileSync } from "node:fs";' : null,
    "",
    usesFiles(request) ? 'const base64Of = (path: string) => readFileSync(path).toString("base64");' : null,
    usesFiles(request) && !anthropic ? "const dataUrl = (path: string, mediaType: string) => `data:${mediaType};base64,${base64Of(path)}`;" : null,
    usesFiles(request) ? "" : null,
    `const client = new ${anthropic ? "Anthropic" : "OpenAI"}({ baseURL: "${base(request)}", apiKey: process.env.OBSCURA_KEY${Object.keys(extra).length ? `, defaultHeaders: ${JSON.stringify(extra)}` : ""} });`,
    `const request = ${code} as const;`,
    request.stream ? `const answer = await ${call}({ ...request, stream: true } as any);` : `const answer = await ${call}(request as any);`,
    request.stream ? `for await (const event of answer as any) {\n  ${delta}\n}` : `console.log(${print});`,
  ].filter((line) => line !== null).join("\n");
}

export { MAX_ANSWER_TOKENS };
