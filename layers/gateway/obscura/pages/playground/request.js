// A request of each dialect, built from the state; its body is made of blobs, so that base64 is never one long string here.

import { encoded } from "./imaging.js";
import { credentials, state } from "./store.js";

export const MAX_ANSWER_TOKENS = 1024;
export const PATHS = { chat: "/chat/completions", messages: "/messages", responses: "/responses" };

/** Freeze what a request depends on, so that it can be sent again, edited, or sent to another model. */
export function snapshot(changes = {}) {
	const { images, text, dialect, model, detail, stream, zeroRetention, policy, schema } = state;
	return { images: [...images], text, dialect, model, detail, stream, zeroRetention, policy, schema, ...changes };
}

export function pathOf(request) {
	return `${request.policy ? "/policy/v1" : "/v1"}${PATHS[request.dialect]}`;
}

export function headersOf(request, shown = null) {
	const access = credentials();
	if (shown && access.Authorization) access.Authorization = `Bearer ${shown}`;
	return {
		"Content-Type": "application/json",
		...(shown && !Object.keys(access).length ? { Authorization: `Bearer ${shown}` } : access),
		...(request.dialect === "messages" ? { "anthropic-version": "2023-06-01" } : {}),
		...(request.zeroRetention ? { "X-Zero-Retention": "true" } : {}),
	};
}

// Where image data goes: a mark that no text of a caller can hold, since it is another one each time the page loads.
const NONCE = `obscura-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
const mark = (kind, index) => `${NONCE}:${kind}:${index};`;
const MARK = new RegExp(`${NONCE}:(\\w+):(\\d+);`, "g");

function imagePart(request, image, index) {
	const { detail } = request;
	const url = image.url ?? mark("dataUrl", index);
	if (request.dialect === "chat") return { type: "image_url", image_url: { url, detail } };
	if (request.dialect === "responses") return { type: "input_image", image_url: url, detail };
	const source = image.url
		? { type: "url", url }
		: { type: "base64", media_type: mark("mediaType", index), data: mark("base64", index) };
	return { type: "image", source };
}

/** Return the request as an object, with marks in place of image data; raises SyntaxError for a schema that is no JSON. */
export function template(request) {
	const { dialect, text, images, model, stream } = request;
	const schema = request.schema.trim() ? JSON.parse(request.schema) : null;
	const textPart = text.trim() ? [{ type: dialect === "responses" ? "input_text" : "text", text }] : [];
	const content = [...textPart, ...images.map((image, index) => imagePart(request, image, index))];
	const messages = [{ role: "user", content }];
	const policy = request.policy ? { policy_id: request.policy } : {};
	if (dialect === "chat") {
		return {
			model,
			messages,
			...(stream ? { stream, stream_options: { include_usage: true } } : {}),
			...(schema ? { response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema } } } : {}),
			...policy,
		};
	}
	if (dialect === "responses") {
		return {
			model,
			input: messages,
			...(stream ? { stream } : {}),
			...(schema ? { text: { format: { type: "json_schema", name: "answer", strict: true, schema } } } : {}),
			...policy,
		};
	}
	return {
		model,
		max_tokens: MAX_ANSWER_TOKENS,
		messages,
		...(stream ? { stream } : {}),
		...(schema ? { output_config: { format: { type: "json_schema", schema } } } : {}),
		...policy,
	};
}

/** The JSON path of each image's part, as the errors of the API name it. */
export function imagePaths(request) {
	const root = request.dialect === "responses" ? "input" : "messages";
	const first = request.text.trim() ? 1 : 0;
	return request.images.map((_, index) => `${root}[0].content[${first + index}]`);
}

/** Return the request's JSON for a reader, its image data left out. */
export function shownBody(request, placeholder = (image, kind) => `${kind} of ${image.name} left out`) {
	const values = { dataUrl: (image) => `data:${image.mediaType};base64,…`, mediaType: (image) => image.mediaType };
	const fill = (_, kind, index) => {
		const image = request.images[index];
		return values[kind]?.(image) ?? placeholder(image, kind);
	};
	const replaced = (value) =>
		typeof value === "string"
			? value.replace(MARK, fill)
			: Array.isArray(value)
				? value.map(replaced)
				: value && typeof value === "object"
					? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, replaced(inner)]))
					: value;
	return replaced(template(request));
}

/** Return the body as one blob; the images are encoded in the worker. */
export async function bodyOf(request) {
	const images = await Promise.all(request.images.map((image) => encoded(image, request.detail)));
	const pieces = JSON.stringify(template(request)).split(MARK);
	const parts = [];
	for (let at = 0; at < pieces.length; at += 3) {
		parts.push(pieces[at]);
		if (at + 2 < pieces.length) parts.push(images[pieces[at + 2]][pieces[at + 1]]);
	}
	return new Blob(parts, { type: "application/json" });
}
