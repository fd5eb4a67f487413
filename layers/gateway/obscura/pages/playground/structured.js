// Answers that are data: JSON as a table, and boxes drawn onto the image that the model saw.

import { h, svg } from "./dom.js";
import { table } from "./markdown.js";

/** Return the JSON that an answer is, or that its first code block holds; undefined if there is none. */
export function jsonOf(answer) {
	const fenced = /```(?:json)?\s*\n([\s\S]*?)```/.exec(answer);
	for (const candidate of [answer, fenced?.[1]]) {
		try {
			const value = JSON.parse(candidate);
			if (value && typeof value === "object") return value;
		} catch {
			// not this one
		}
	}
	return undefined;
}

const cell = (value) => (value && typeof value === "object" ? JSON.stringify(value) : String(value ?? ""));

/** Return JSON as a table: an array of objects by its fields, an object by its members. */
export function tableOf(value) {
	const inner = Array.isArray(value) ? value : Object.values(value).find((member) => Array.isArray(member) && member.length && typeof member[0] === "object");
	const rows = inner ?? value;
	if (!Array.isArray(rows)) return table(["Field", "Value"], Object.entries(rows).map(([name, member]) => [name, cell(member)]));
	const fields = [...new Set(rows.flatMap((row) => (row && typeof row === "object" ? Object.keys(row) : ["value"])))];
	return table(fields, rows.map((row) => fields.map((field) => cell(row && typeof row === "object" ? row[field] : row))));
}

const NUMBER = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
const BOX = new RegExp(String.raw`[[(]${NUMBER},${NUMBER},${NUMBER},${NUMBER}[\])]`, "g");
const LABEL = /"(?:label|name|text|title)"\s*:\s*"([^"]{1,60})"/;

/** Return the boxes of an answer, [left, top, right, bottom] each, with the label that stands nearest in its object. */
export function boxesOf(answer) {
	return [...answer.matchAll(BOX)].slice(0, 100).map((found) => {
		const around = answer.slice(Math.max(0, answer.lastIndexOf("{", found.index)), answer.indexOf("}", found.index) + 1 || undefined);
		return { corners: found.slice(1, 5).map(Number), label: LABEL.exec(around)?.[1] ?? "" };
	});
}

export const SCALES = { pixels: "pixels of the prepared image", thousand: "0 to 1000", fraction: "0 to 1" };

/** Guess in which scale boxes are: fractions if none is over 1, thousandths if one passes the image's sides. */
export function scaleOf(boxes, { width, height }) {
	const all = boxes.flatMap((box) => box.corners);
	if (all.every((value) => value <= 1)) return "fraction";
	const outside = boxes.some(({ corners: [, , right, bottom] }) => right > width || bottom > height);
	return outside && all.every((value) => value <= 1000) ? "thousand" : "pixels";
}

export function drawn(url, size, boxes, scale) {
	const { width, height } = size;
	const [across, down] = { pixels: [1, 1], thousand: [width / 1000, height / 1000], fraction: [width, height] }[scale];
	const unit = Math.max(width, height) / 100;
	const shapes = boxes.flatMap(({ corners: [left, top, right, bottom], label }, index) => [
		svg("rect", { x: left * across, y: top * down, width: Math.max(0, right - left) * across, height: Math.max(0, bottom - top) * down, "stroke-width": unit * 0.5 }),
		svg("text", { x: left * across + unit, y: Math.max(unit * 3, top * down - unit), "font-size": unit * 3.2, "stroke-width": unit * 0.7 }, label || String(index + 1)),
	]);
	return h("figure", { class: "drawn" },
		h("img", { src: url, alt: `The image with ${boxes.length} boxes drawn onto it` }),
		svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...shapes));
}
