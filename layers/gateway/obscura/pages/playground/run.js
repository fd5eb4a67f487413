// One run: a request, or two side by side, and what became of each.

import { adviceOf, mergeUsage, readFrame, readWhole } from "./answers.js";
import { createView } from "./answer_view.js";
import { checkRequest } from "./checks.js";
import { $, announce, h } from "./dom.js";
import { bodyOf, headersOf, imagePaths, pathOf, snapshot } from "./request.js";
import { apiUrl, change, state } from "./store.js";
import { FrameReader, send } from "./transport.js";

let current = [];

/** Send the composed request; with a comparison, twice at once. */
export async function ask() {
	const problem = localProblem();
	$("#request-problem").replaceChildren(...(problem ? [h("code", {}, problem.code ?? "not_ready"), " ", problem.text] : []));
	if (problem) return;
	const request = snapshot();
	const other = { model: { model: state.otherModel }, detail: { detail: state.otherDetail } }[state.compare];
	await start(other ? [request, { ...request, ...other }] : [request]);
}

function localProblem() {
	const failed = state.images.find((image) => image.problem);
	if (failed) return failed.problem;
	if (state.images.some((image) => image.busy)) return { text: "An image is still being read." };
	if (!state.text.trim() && !state.images.length) return { text: "Write something, or add an image." };
	if (!state.model) return { text: "Choose a model, or enter its name." };
	try {
		if (state.schema.trim()) JSON.parse(state.schema);
	} catch {
		return { code: "invalid_json", text: "The schema is not JSON." };
	}
	const request = snapshot();
	const parts = request.images.length + (request.text.trim() ? 1 : 0);
	const path = request.dialect === "responses" ? "input[0].content" : "messages[0].content";
	return checkRequest({ images: request.images.length, parts, path, bodyBytes: 0 }, state.checks)[0];
}

async function start(requests) {
	stop();
	for (const image of state.images) image.error = null;
	change({ images: [...state.images] });
	const answers = requests.map((request) => ({ request, text: "", frames: [], state: "waiting", controller: new AbortController() }));
	current = answers;
	const actions = { regenerate: () => start(requests), edit: () => edit(requests[0]) };
	const views = answers.map((answer) => createView(answer, actions));
	const asked = requests[0].text.trim() || `${requests[0].images.length} image${requests[0].images.length === 1 ? "" : "s"}, no text`;
	const run = h("div", { class: `run${answers.length > 1 ? " compared" : ""}` },
		h("h2", { class: "asked", dir: "auto" }, asked), h("div", { class: "columns" }, views.map((view) => view.element)));
	$("#empty").hidden = true;
	$("#runs").prepend(run);
	while ($("#runs").children.length > 20) $("#runs").lastChild.remove();
	busy(true);
	announce("Sent. Waiting for the answer.");
	if (innerWidth < 1000) run.scrollIntoView();
	await Promise.all(answers.map((answer, index) => receive(answer, views[index])));
	if (current !== answers) return;
	busy(false);
	const failed = answers.find((answer) => answer.error);
	announce(failed ? `The request failed: ${failed.error.message}` : answers[0].state === "stopped" ? "Stopped." : "The answer is complete.");
}

function busy(is) {
	$("#send").disabled = is;
	$("#stop").hidden = !is;
}

export function stop() {
	current.forEach((answer) => answer.controller.abort());
}

function edit({ images, text, dialect, model, detail, stream, zeroRetention, policy, schema }) {
	change({ images, text, dialect, model, detail, stream, zeroRetention, policy, schema });
	requestAnimationFrame(() => requestAnimationFrame(() => $("#text").focus()));
}

async function receive(answer, view) {
	const { request } = answer;
	try {
		const body = await bodyOf(request);
		answer.bodyBytes = body.size;
		const [tooLarge] = checkRequest({ images: 0, parts: 0, bodyBytes: body.size }, state.checks);
		if (tooLarge) throw Object.assign(new Error(tooLarge.text), { code: tooLarge.code });
		if (answer.controller.signal.aborted) throw Object.assign(new Error("Stopped before it was sent."), { code: "stopped" });
		const reader = new FrameReader();
		const onPiece = (piece, xhr) => {
			if (!(xhr.getResponseHeader("content-type") ?? "").startsWith("text/event-stream")) return;
			for (const frame of reader.read(piece)) take(answer, frame);
			answer.state = "streaming";
			view.update();
		};
		const response = await send(apiUrl(pathOf(request)), { headers: headersOf(request), body, onPiece, signal: answer.controller.signal });
		answer.response = response;
		const streamed = (response.headers["content-type"] ?? "").startsWith("text/event-stream");
		if (!streamed && !response.stopped) Object.assign(answer, readWhole(request.dialect, response.status, response.text));
		answer.state = response.stopped ? "stopped" : answer.error ? "failed" : "done";
	} catch (error) {
		Object.assign(answer, { state: "failed", error: { code: error.code ?? "connection_failed", message: error.message } });
	}
	if (answer.error) {
		answer.advice = adviceOf(answer.error, answer.response?.headers);
		markImage(answer);
	}
	view.update();
}

function take(answer, frame) {
	answer.frames.push(frame);
	if (frame.data === "[DONE]") return;
	const { delta, usage, error, policy } = readFrame(answer.request.dialect, frame);
	if (typeof delta === "string") answer.text += delta;
	answer.usage = mergeUsage(answer.usage, usage);
	answer.error ??= error;
	answer.policy = policy ?? answer.policy;
}

function markImage({ error, request }) {
	const paths = imagePaths(request);
	const named = (path) => `${error.param ?? ""} ${error.message ?? ""}`.includes(path);
	const index = paths.findIndex(named);
	if (index < 0 || !state.images.includes(request.images[index])) return;
	request.images[index].error = { code: error.code, text: error.message };
	change({ images: [...state.images] });
}
