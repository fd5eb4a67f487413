// The crop dialog: a region drawn with the pointer, or entered as numbers.

import { $ } from "./dom.js";
import { crop } from "./imaging.js";

const SIDES = ["x", "y", "width", "height"];
let image = null;
let shownUrl = null;
let from = null;

const input = (name) => $(`#crop-${name}`);
const area = () => Object.fromEntries(SIDES.map((name) => [name, Number(input(name).value)]));

export function openCrop(chosen) {
	image = chosen;
	shownUrl = URL.createObjectURL(chosen.blob);
	$("#crop-image").src = shownUrl;
	setArea({ x: 0, y: 0, width: chosen.width, height: chosen.height });
	$("#crop").showModal();
}

function setArea(wanted) {
	const clamp = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
	const x = clamp(wanted.x, 0, image.width - 1);
	const y = clamp(wanted.y, 0, image.height - 1);
	const width = clamp(wanted.width, 1, image.width - x);
	const height = clamp(wanted.height, 1, image.height - y);
	for (const [name, value] of Object.entries({ x, y, width, height })) input(name).value = value;
	const mark = $("#crop-area").style;
	mark.left = `${(x / image.width) * 100}%`;
	mark.top = `${(y / image.height) * 100}%`;
	mark.width = `${(width / image.width) * 100}%`;
	mark.height = `${(height / image.height) * 100}%`;
}

function pointOf(event) {
	const box = $("#crop-image").getBoundingClientRect();
	return { x: ((event.clientX - box.left) / box.width) * image.width, y: ((event.clientY - box.top) / box.height) * image.height };
}

function start() {
	const stage = $("#crop-stage");
	stage.addEventListener("pointerdown", (event) => {
		from = pointOf(event);
		stage.setPointerCapture(event.pointerId);
		event.preventDefault();
	});
	stage.addEventListener("pointermove", (event) => {
		if (!from) return;
		const to = pointOf(event);
		const [x, y] = [Math.max(0, Math.min(from.x, to.x)), Math.max(0, Math.min(from.y, to.y))];
		setArea({ x, y, width: Math.max(from.x, to.x) - x, height: Math.max(from.y, to.y) - y });
	});
	stage.addEventListener("pointerup", () => (from = null));
	SIDES.forEach((name) => input(name).addEventListener("change", () => setArea(area())));
	$("#crop").addEventListener("close", async () => {
		const wanted = $("#crop").returnValue === "crop" ? area() : null;
		$("#crop-image").removeAttribute("src");
		URL.revokeObjectURL(shownUrl);
		if (wanted) await crop(image, wanted);
	});
}

start();
