// What the model sees, by the gateway itself: POST /v1/inspect, which takes a chat request and returns prepared images.

import { bodyOf, headersOf, snapshot } from "./request.js";
import { apiUrl, credentials, state } from "./store.js";
import { send } from "./transport.js";

const PATH = "/v1/inspect";

/** Return the prepared image as a data URL; null without a key or where the gateway cannot inspect. */
export async function inspectImage(image) {
	if (!credentials().Authorization || !state.served.has(PATH)) return null;
	const request = snapshot({ images: [image], text: "", dialect: "chat", stream: false, schema: "", policy: "" });
	const chat = await (await bodyOf(request)).text();
	const body = `${chat.slice(0, -1)},"include":["images"]}`;
	const response = await send(apiUrl(PATH), { headers: headersOf(request), body });
	if (response.status === 404) return null;
	const answer = JSON.parse(response.text);
	if (response.status !== 200) throw new Error(answer.error?.message ?? "The gateway could not inspect the image.");
	return answer.images[0]?.prepared.data_url ?? null;
}
