// What an answer says, in each dialect: the text of a frame or of a whole response, its usage, its error.

const parse = (text) => {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
};

const text = (parts, type) =>
	(Array.isArray(parts) ? parts : []).filter((part) => part?.type === type).map((part) => part.text ?? "").join("");

/** Return {delta, usage, error, policy} of one frame of a stream. */
export function readFrame(dialect, frame) {
	const data = parse(frame.data) ?? {};
	const found = { error: data.error ?? data.response?.error ?? null, policy: data.policy };
	if (data.type === "error" && !data.error) found.error = data;
	if (dialect === "chat") return { ...found, delta: data.choices?.[0]?.delta?.content, usage: data.usage };
	if (dialect === "messages") {
		const usage = data.usage ?? data.message?.usage;
		return { ...found, delta: data.type === "content_block_delta" ? data.delta?.text : "", usage };
	}
	const delta = data.type === "response.output_text.delta" ? data.delta : "";
	return { ...found, delta, usage: data.response?.usage };
}

/** Return {text, usage, error, policy} of a whole response; a body that is no JSON is an error by its status. */
export function readWhole(dialect, status, body) {
	const data = parse(body);
	if (!data || status >= 400) {
		const error = data?.error ?? { message: `The response has the status ${status} and no error that can be read.` };
		return { text: "", error, policy: data?.policy };
	}
	const said = {
		chat: () => data.choices?.[0]?.message?.content ?? "",
		messages: () => text(data.content, "text"),
		responses: () => (data.output ?? []).map((item) => text(item.content, "output_text")).join(""),
	};
	return { text: said[dialect](), usage: data.usage, error: null, policy: data.policy };
}

/** Merge usage: Messages reports its input first and its output last. */
export const mergeUsage = (before, now) => (now ? { ...before, ...now } : before);

/** Return usage as rows: tokens in, tokens out, tokens of images. */
export function usageRows(usage) {
	if (!usage) return [];
	const image =
		usage.image_tokens ?? usage.prompt_tokens_details?.image_tokens ?? usage.input_tokens_details?.image_tokens;
	return [
		["Input tokens", usage.prompt_tokens ?? usage.input_tokens],
		["Output tokens", usage.completion_tokens ?? usage.output_tokens],
		["Image tokens", image],
	].filter(([, value]) => value !== undefined);
}

// The message of most errors already says what to do; these are what this page itself can offer.
const ADVICE = {
	missing_credentials: "Enter a key, or choose the free tier.",
	free_tier_exhausted: "Enter a key, or come back when the window ends.",
	moderation_blocked: "Change or remove what was flagged. Nothing was sent to the model.",
	request_too_large: "Allow “Downsize here”, or name large images by URL.",
	image_too_large: "Allow “Downsize here”, or crop the image.",
	model_not_found: "Choose a model of the list.",
};

export const adviceOf = (error, headers = {}) => {
	const wait = headers["retry-after"] ? ` Retry after ${headers["retry-after"]} s.` : "";
	return (ADVICE[error.code] ?? "") + wait;
};
