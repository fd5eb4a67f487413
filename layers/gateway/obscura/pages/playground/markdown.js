// Markdown as elements: a safe part of it. Nothing becomes a link that can be followed, an image that loads, or HTML.

import { h } from "./dom.js";

const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|\*([^*\s][^*]*)\*|\b_([^_\s][^_]*)_\b|(!?)\[([^\]]*)\]\(([^)\s]*)[^)]*\)/;

function inline(text) {
	const nodes = [];
	for (let rest = text; rest; ) {
		const found = INLINE.exec(rest);
		if (!found) return [...nodes, rest];
		const [whole, , code, strong, strong2, emphasis, emphasis2, image, label, target] = found;
		if (found.index) nodes.push(rest.slice(0, found.index));
		if (code !== undefined) nodes.push(h("code", {}, code));
		else if (strong ?? strong2) nodes.push(h("strong", {}, inline(strong ?? strong2)));
		else if (emphasis ?? emphasis2) nodes.push(h("em", {}, inline(emphasis ?? emphasis2)));
		else nodes.push(image ? `[image: ${label}]` : `${label} `, image ? "" : h("span", { class: "target" }, `(${target})`));
		rest = rest.slice(found.index + whole.length);
	}
	return nodes;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
const isRule = (line) => /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line ?? "") && line.includes("-");
const LIST = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;
const STARTS = /^(#{1,6}\s|```|>|\s*([-*+]|\d+[.)])\s+)/;

/** Return the elements of a text; each has the direction of its own script. */
export function markdown(source) {
	const lines = source.replace(/\r\n?/g, "\n").split("\n");
	const blocks = [];
	for (let at = 0; at < lines.length; ) {
		const line = lines[at];
		const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
		const fence = /^\s*```/.test(line);
		if (!line.trim()) at += 1;
		else if (fence) {
			const from = (at += 1);
			while (at < lines.length && !/^\s*```\s*$/.test(lines[at])) at += 1;
			blocks.push(h("pre", { dir: "ltr", tabindex: 0 }, h("code", {}, lines.slice(from, at).join("\n"))));
			at += 1;
		} else if (heading) {
			blocks.push(h(`h${Math.min(6, heading[1].length + 3)}`, { dir: "auto" }, inline(heading[2])));
			at += 1;
		} else if (line.includes("|") && isRule(lines[at + 1])) {
			const head = cells(line);
			const rows = [];
			for (at += 2; at < lines.length && lines[at].includes("|"); at += 1) rows.push(cells(lines[at]));
			blocks.push(table(head.map(inline), rows.map((row) => row.map(inline))));
		} else if (LIST.test(line)) {
			const ordered = /^\s*\d/.test(line);
			const items = [];
			for (; at < lines.length && lines[at].trim(); at += 1) {
				const item = LIST.exec(lines[at]);
				if (item) items.push(item[3]);
				else items[items.length - 1] += ` ${lines[at].trim()}`;
			}
			blocks.push(h(ordered ? "ol" : "ul", { dir: "auto" }, items.map((item) => h("li", { dir: "auto" }, inline(item)))));
		} else if (line.startsWith(">")) {
			const from = at;
			while (at < lines.length && lines[at].startsWith(">")) at += 1;
			const quoted = lines.slice(from, at).map((one) => one.replace(/^>\s?/, ""));
			blocks.push(h("blockquote", { dir: "auto" }, inline(quoted.join(" "))));
		} else {
			const from = at;
			do at += 1; while (at < lines.length && lines[at].trim() && !STARTS.test(lines[at]));
			blocks.push(h("p", { dir: "auto" }, inline(lines.slice(from, at).join("\n"))));
		}
	}
	return blocks;
}

export function table(head, rows) {
	return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
		h("table", {},
			h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col", dir: "auto" }, cell)))),
			h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", { dir: "auto" }, cell)))))));
}
