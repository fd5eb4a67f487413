// The images of the request as a list: facts, both views, order, crop, removal, and the error that concerns each.

import { announce, bytes, h, icon } from "./dom.js";
import { move, remove, showPrepared, tokens } from "./imaging.js";
import { change, longestSide, state } from "./store.js";

const afterRender = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
const DRAGGED = "application/x-obscura-image";

function thumbnail(image, index) {
	const prepared = image.view === "prepared" && image.prepared;
	const url = prepared ? image.prepared.url : image.thumbnailUrl;
	const shown = prepared || image;
	const title = `Image ${index + 1}, ${image.name}`;
	const failed = image.problem ?? image.error;
	return h("li", {
		class: `thumbnail${failed ? " failed" : ""}`, draggable: "true", "data-id": image.id, tabindex: -1,
		"aria-busy": image.busy ? "true" : null, "aria-invalid": failed ? "true" : null,
		ondragstart: (event) => event.dataTransfer.setData(DRAGGED, String(image.id)),
		ondragover: (event) => event.dataTransfer.types.includes(DRAGGED) && event.preventDefault(),
		ondrop: (event) => dropOn(event, index),
		onkeydown: (event) => keyed(event, image, index),
	},
		h("div", { class: "frame" },
			url ? h("img", { src: url, alt: `${title}${prepared ? ", as the model sees it" : ""}`, draggable: "false" })
				: h("span", { class: "none" }, image.busy ? "Reading…" : image.url ? "By URL: the gateway fetches it" : failed ? "Not accepted" : "No preview in this browser"),
			h("span", { class: "number", "aria-hidden": "true" }, String(index + 1))),
		h("p", { class: "name", dir: "auto", title: image.name }, image.name),
		h("p", { class: "facts" }, facts(image, shown, prepared)),
		failed ? h("p", { class: "problem", role: "alert" }, h("code", {}, failed.code), " ", failed.text) : null,
		image.notice ? h("p", { class: "facts" }, image.notice) : null,
		h("div", { class: "tools" },
			h("button", { type: "button", "aria-pressed": String(Boolean(prepared)), "aria-label": `Model’s view of ${title}`, disabled: Boolean(image.problem) || image.busy, onclick: () => toggle(image) }, "Model’s view"),
			h("button", { type: "button", class: "icon", "aria-label": `Move ${title} earlier`, disabled: index === 0, onclick: () => shift(image, index, -1) }, icon("M10 3 5 8l5 5")),
			h("button", { type: "button", class: "icon", "aria-label": `Move ${title} later`, disabled: index === state.images.length - 1, onclick: () => shift(image, index, 1) }, icon("m6 3 5 5-5 5")),
			h("button", { type: "button", class: "icon", "aria-label": `Crop ${title}`, disabled: !image.thumbnailUrl, onclick: async () => (await import("./crop.js")).openCrop(image) }, icon("M4 1v11h11M1 4h11v11")),
			h("button", { type: "button", class: "icon", "aria-label": `Remove ${title}`, onclick: () => removeAt(image, index) }, icon("m4 4 8 8m0-8-8 8"))));
}

function facts(image, shown, prepared) {
	if (image.busy) return "Reading…";
	if (image.url && !prepared) return "Measured when it is sent";
	const size = shown.width ? `${shown.width} × ${shown.height}` : null;
	const cost = shown.width && !image.problem ? `${prepared ? tokens(shown) : `≈ ${tokens(fitted(shown))}`} tokens` : null;
	const origin = prepared ? (image.prepared.estimate ? "estimate of this browser" : "from the gateway") : image.format;
	const before = prepared && image.bytes ? `${bytes(image.bytes)} to ${bytes(shown.bytes)}` : shown.bytes ? bytes(shown.bytes) : null;
	return [origin, size, before, cost].filter(Boolean).join(" · ");
}

export function fitted({ width, height }) {
	const scale = Math.min(1, longestSide(state.detail) / Math.max(width, height));
	return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

async function toggle(image) {
	if (image.view === "prepared") {
		image.view = "original";
		change({ images: [...state.images] });
	} else await showPrepared(image);
	announce(image.view === "prepared" ? "Showing what the model sees." : "Showing the original.");
}

function shift(image, index, by, focus = by < 0 ? "earlier" : "later") {
	move(image, index + by);
	announce(`Image is now number ${index + by + 1} of ${state.images.length}.`);
	afterRender(() => focusOn(image, focus));
}

function focusOn(image, action) {
	const item = document.querySelector(`[data-id="${image.id}"]`);
	const button = item?.querySelector(`[aria-label^="Move"][aria-label$="${action}"]:not(:disabled)`);
	(button ?? item?.querySelector("button:not(:disabled)"))?.focus();
}

function removeAt(image, index) {
	remove(image);
	announce(`${image.name} removed.`);
	afterRender(() => {
		const left = state.images[Math.min(index, state.images.length - 1)];
		(left ? document.querySelector(`[data-id="${left.id}"] button:not(:disabled)`) : document.querySelector("#add-files"))?.focus();
	});
}

function keyed(event, image, index) {
	const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
	if (event.altKey && by && state.images[index + by]) {
		event.preventDefault();
		shift(image, index, by);
	} else if (event.key === "Delete" && !event.target.matches("input, textarea")) removeAt(image, index);
}

function dropOn(event, index) {
	const id = event.dataTransfer.getData(DRAGGED);
	if (!id) return;
	event.preventDefault();
	event.stopPropagation();
	const image = state.images.find((one) => String(one.id) === id);
	if (image) move(image, index);
}

/** Render the list; the focus stays on the same button. */
export function render() {
	const list = document.querySelector("#thumbnails");
	const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
	list.replaceChildren(...state.images.map(thumbnail));
	if (focused) [...list.querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === focused)?.focus();
	list.hidden = state.images.length === 0;
}
