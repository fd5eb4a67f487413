// How an answer looks: the text as it arrives, then figures, tables, boxes, and the raw exchange.

import { usageRows } from "./answers.js";
import { bytes, copy, h, ms } from "./dom.js";
import { markdown } from "./markdown.js";
import { headersOf, pathOf, shownBody } from "./request.js";
import { boxesOf, drawn, jsonOf, SCALES, scaleOf, tableOf } from "./structured.js";
import { fitted } from "./thumbnails.js";

const SHOWN_CHARS = 200_000;
const STATES = { waiting: "Waiting…", streaming: "Answering…", done: "Complete", stopped: "Stopped", failed: "Failed" };
const HEADERS = /^(retry-after|x-zero-retention|x-unmoderated|x-policy-(decision|id|version))$/;

export function createView(answer, { regenerate, edit }) {
	const { request } = answer;
	const text = h("div", { class: "text", "aria-live": "polite", "aria-busy": "true", tabindex: -1 });
	const status = h("span", { class: "state" });
	const failure = h("div", { class: "failure", role: "alert", hidden: true });
	const extra = h("div", { class: "extra" });
	const figures = h("dl", { class: "figures" });
	const raw = h("div", { class: "raw" });
	const actions = h("div", { class: "actions" });
	const element = h("article", { class: "answer", "data-state": answer.state },
		h("header", {}, h("h3", {}, request.model), h("span", {}, `${request.dialect} · ${request.detail}`), status),
		failure, text, extra, figures, actions,
		h("details", { ontoggle: () => fillRaw() }, h("summary", {}, "Raw request and response"), raw));
	let scheduled = false;

	function fillRaw() {
		if (!raw.parentElement.open || !answer.response) return;
		raw.replaceChildren(...rawParts(answer));
	}

	function draw() {
		scheduled = false;
		const over = ["done", "stopped", "failed"].includes(answer.state);
		element.dataset.state = answer.state;
		status.textContent = STATES[answer.state];
		text.setAttribute("aria-busy", String(!over));
		text.replaceChildren(...markdown(answer.text));
		if (!over) return;
		failure.hidden = !answer.error;
		if (answer.error) failure.replaceChildren(...failureParts(answer));
		figures.replaceChildren(...figureRows(answer).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
		actions.replaceChildren(
			h("button", { type: "button", onclick: regenerate }, "Regenerate"),
			h("button", { type: "button", onclick: edit }, "Edit and resend"),
			answer.text ? h("button", { type: "button", onclick: (event) => copy(answer.text, event.target) }, "Copy") : "");
		extra.replaceChildren(...extraParts(answer));
		fillRaw();
	}

	return {
		element,
		update() {
			if (scheduled) return;
			scheduled = true;
			requestAnimationFrame(draw);
		},
	};
}

function failureParts({ error, advice, response }) {
	const status = response?.status ? `${response.status} ` : "";
	return [
		h("p", {}, h("code", {}, `${status}${error.code ?? error.type ?? "error"}`), " ", h("span", { dir: "auto" }, error.message ?? "")),
		error.param ? h("p", {}, "Field ", h("code", {}, error.param)) : "",
		advice ? h("p", { class: "advice" }, advice) : "",
	];
}

function figureRows({ usage, response, bodyBytes, policy }) {
	if (!response) return [];
	const { timings, headers } = response;
	const times = [["Upload", timings.upload], ["First byte", timings.firstByte], ["Whole", timings.whole]];
	return [
		...usageRows(usage),
		...times.filter(([, value]) => value !== undefined).map(([name, value]) => [name, ms(value)]),
		["Sent", bytes(bodyBytes)],
		...(policy ? [["Policy", policy.decision ?? JSON.stringify(policy)]] : []),
		...(headers["x-image-tokens"]?.includes(",") ? [["Each image", headers["x-image-tokens"].replaceAll(",", " + ")]] : []),
		["Requests left", `${headers["x-ratelimit-remaining-requests"]} of ${headers["x-ratelimit-limit-requests"]}`],
		["Window ends", headers["x-ratelimit-reset-requests"]],
		...Object.entries(headers).filter(([name]) => HEADERS.test(name)),
		["Request id", headers["x-request-id"] ?? "none"],
	];
}

function extraParts({ text, request }) {
	const parts = [];
	const value = jsonOf(text);
	if (value !== undefined) parts.push(h("details", { open: Boolean(request.schema.trim()) }, h("summary", {}, "As a table"), tableOf(value)));
	const boxes = boxesOf(text);
	const images = request.images.filter((image) => image.thumbnailUrl);
	if (boxes.length && images.length) parts.push(boxPart(boxes, images));
	return parts;
}

function boxPart(boxes, images) {
	const place = h("div", {});
	const sizeOf = (image) => image.prepared ?? fitted(image);
	const scale = h("select", { "aria-label": "Scale of the coordinates" }, Object.entries(SCALES).map(([name, label]) => h("option", { value: name }, label)));
	const which = h("select", { "aria-label": "Image to draw onto" }, images.map(({ name }, index) => h("option", { value: index }, name)));
	const redraw = () => {
		const image = images[which.value];
		place.replaceChildren(drawn(image.prepared?.url ?? image.thumbnailUrl, sizeOf(image), boxes, scale.value));
	};
	scale.value = scaleOf(boxes, sizeOf(images[0]));
	[scale, which].forEach((select) => select.addEventListener("change", redraw));
	const details = h("details", {}, h("summary", {}, `Draw ${boxes.length === 1 ? "the box" : `${boxes.length} boxes`} onto the image`), h("div", { class: "row" }, which, scale), place);
	details.addEventListener("toggle", () => details.open && redraw());
	return details;
}

function rawParts({ request, response, frames }) {
	const head = Object.entries(headersOf(request, "…")).map(([name, value]) => `${name}: ${value}`).join("\n");
	const sent = `POST ${pathOf(request)}\n${head}\n\n${JSON.stringify(shownBody(request), null, 2)}`;
	const received = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
	const body = frames.length ? "" : `\n\n${response.text.slice(0, SHOWN_CHARS)}`;
	const blocks = [["Request", sent], ["Response", `${response.status}\n${received}${body}`]];
	if (frames.length) blocks.push([`Frames (${frames.length})`, frames.map((frame) => frame.raw).join("\n\n").slice(0, SHOWN_CHARS)]);
	return blocks.flatMap(([title, content]) => [h("h4", {}, title), h("pre", { tabindex: 0, "aria-label": title, role: "group" }, content)]);
}
