// How images come in: dropped anywhere, pasted, chosen, taken, named by URL, or one of the examples.

import { $, announce, h } from "./dom.js";
import { addFiles, addUrl } from "./imaging.js";
import { state } from "./store.js";

const EXAMPLES = [
	["example-chart.png", "Chart", "Which month had the most visitors, and how many?"],
	["example-receipt.jpg", "Receipt", "List the items with their prices, and check the total."],
	["example-sign.png", "Sign", "What does the sign say?"],
	["example-handwriting.png", "Handwriting", "Write down this note."],
	["example-moderation-test.png", "Moderation test", "What is in this image?"],
];

async function add(files) {
	if (!files.length) return;
	const added = await addFiles(files);
	const refused = added.filter((image) => image.problem).length;
	announce(`${added.length - refused} added${refused ? `, ${refused} not accepted` : ""}.`);
}

function fromFiles(input) {
	input.addEventListener("change", () => {
		add([...input.files]);
		input.value = "";
	});
}

function startDrop() {
	let depth = 0;
	const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
	const show = (is) => document.body.classList.toggle("dropping", is);
	addEventListener("dragenter", (event) => {
		if (!hasFiles(event)) return;
		depth += 1;
		show(true);
	});
	addEventListener("dragleave", (event) => {
		if (hasFiles(event)) show((depth = Math.max(0, depth - 1)) > 0);
	});
	addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
	addEventListener("drop", (event) => {
		if (!hasFiles(event)) return;
		event.preventDefault();
		depth = 0;
		show(false);
		add([...event.dataTransfer.files]);
	});
}

function startUrl() {
	const dialog = $("#url");
	const input = $("#image-url");
	$("#add-url").addEventListener("click", () => {
		input.value = "";
		dialog.showModal();
	});
	dialog.addEventListener("close", () => {
		if (dialog.returnValue !== "add") return;
		addUrl(input.value.trim());
		announce("Image added by URL.");
	});
}

async function addExample(name, question) {
	const response = await fetch(new URL(name, import.meta.url));
	const blob = await response.blob();
	await add([new File([blob], name, { type: blob.type })]);
	const text = $("#text");
	if (!state.text.trim()) {
		text.value = question;
		text.dispatchEvent(new Event("input", { bubbles: true }));
	}
}

export function startCompose() {
	startDrop();
	startUrl();
	fromFiles($("#files"));
	fromFiles($("#camera"));
	$("#add-files").addEventListener("click", () => $("#files").click());
	$("#add-camera").addEventListener("click", () => $("#camera").click());
	$("#examples").append(...EXAMPLES.map(([name, label, question]) =>
		h("button", { type: "button", class: "chip", "aria-label": `Example: ${label}`, onclick: () => addExample(name, question) }, label)));
	addEventListener("paste", (event) => {
		const files = [...(event.clipboardData?.files ?? [])];
		if (!files.length) return;
		event.preventDefault();
		add(files);
	});
}
