// The request as code: curl, Python and TypeScript, without the key and without base64.

import { headersOf, pathOf, shownBody } from "./request.js";
import { apiUrl } from "./store.js";

const KEY = "$OBSCURA_KEY";
const CLIENTS = {
	chat: { call: "chat.completions.create", text: "choices[0].message.content", delta: "choices[0].delta.content", when: ["choices", "choices.length"] },
	messages: { call: "messages.create", text: "content[0].text", delta: "delta.text", when: Array(2).fill('type == "content_block_delta"') },
	responses: { call: "responses.create", text: "output_text", delta: "delta", when: Array(2).fill('type == "response.output_text.delta"') },
};

/** Return code that sends the request. */
export function snippet(language, request) {
	if (language === "curl") return curl(request);
	const anthropic = request.dialect === "messages";
	const { policy_id, ...body } = shownBody(request, (image) => `@@base64:${image.name}@@`);
	const files = request.images.filter((image) => !image.url);
	let code = JSON.stringify({ ...body, stream_options: undefined }, null, 2);
	for (const image of files) {
		code = code.replace(`"data:${image.mediaType};base64,…"`, `data_url(${JSON.stringify(image.name)}, "${image.mediaType}")`);
		code = code.replace(JSON.stringify(`@@base64:${image.name}@@`), `base64_of(${JSON.stringify(image.name)})`);
	}
	const headers = Object.fromEntries(Object.entries(headersOf(request, KEY)).filter(([name]) => name.startsWith("X-")));
	const root = apiUrl("/");
	const versioned = `${root}${request.policy ? "policy/" : ""}v1`;
	const facts = {
		...CLIENTS[request.dialect], anthropic, code, policy_id, stream: request.stream, files: files.length > 0,
		base: anthropic ? versioned.replace(/\/?v1$/, "") : versioned,
		headers: Object.keys(headers).length ? JSON.stringify(headers) : "",
	};
	return (language === "python" ? python : typescript)(facts).filter((line) => line !== false).join("\n");
}

function curl(request) {
	const body = shownBody(request, (image) => `BASE64-OF-${image.name}`);
	const headers = Object.entries(headersOf(request, KEY)).map(([name, value]) => `  -H "${name}: ${value}"`);
	const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
	return [`curl ${request.stream ? "-N " : ""}${apiUrl(pathOf(request))}`, ...headers, `  -d '${json}'`].join(" \\\n");
}

function python({ anthropic, call, text, delta, when, code, policy_id, stream, files, base, headers }) {
	const client = anthropic ? "Anthropic" : "OpenAI";
	const words = { true: "True", false: "False", null: "None" };
	const literal = code.replace(/(: |^\s+)(true|false|null)(?=,?$)/gm, (_, before, word) => before + words[word]);
	return [
		files && "import base64",
		"import os",
		files && "from pathlib import Path",
		`\nfrom ${client.toLowerCase()} import ${client}\n`,
		files && "\ndef base64_of(path):\n    return base64.b64encode(Path(path).read_bytes()).decode()\n",
		files && !anthropic && '\ndef data_url(path, media_type):\n    return f"data:{media_type};base64,{base64_of(path)}"\n\n',
		`client = ${client}(base_url="${base}", api_key=os.environ["OBSCURA_KEY"]${headers && `, default_headers=${headers}`})`,
		`request = ${literal}`,
		`answer = client.${call}(**request${policy_id ? `, extra_body={"policy_id": ${JSON.stringify(policy_id)}}` : ""})`,
		stream
			? `for event in answer:\n    if event.${when[0]}:\n        print(event.${delta} or "", end="", flush=True)`
			: `print(answer.${text})`,
	];
}

function typescript({ anthropic, call, text, delta, when, code, policy_id, stream, files, base, headers }) {
	const client = anthropic ? "Anthropic" : "OpenAI";
	const literal = policy_id ? code.replace(/\n}$/, `,\n  "policy_id": ${JSON.stringify(policy_id)}\n}`) : code;
	return [
		files && 'import { readFileSync } from "node:fs";',
		`import ${client} from "${anthropic ? "@anthropic-ai/sdk" : "openai"}";\n`,
		files && 'const base64_of = (path: string) => readFileSync(path).toString("base64");',
		files && !anthropic && "const data_url = (path: string, type: string) => `data:${type};base64,${base64_of(path)}`;",
		`const client = new ${client}({ baseURL: "${base}", apiKey: process.env.OBSCURA_KEY${headers && `, defaultHeaders: ${headers}`} });`,
		`const request: any = ${literal};`,
		`const answer: any = await client.${call}(request);`,
		stream
			? `for await (const event of answer) {\n  if (event.${when[1]}) process.stdout.write(event.${delta} ?? "");\n}`
			: `console.log(answer.${text});`,
	];
}
