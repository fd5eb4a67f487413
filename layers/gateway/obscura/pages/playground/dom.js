// Elements without markup: text is always a text node, so nothing from outside can become HTML.

export const $ = (selector, root = document) => root.querySelector(selector);

/** Create an element; properties named on… are listeners, null and false leave an attribute out. */
export function h(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "class") element.className = value;
		else if (name === "value" || name === "checked") element[name] = value;
		else if (value === true) element.setAttribute(name, "");
		else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
	}
	element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
	return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes, ...children) {
	const element = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	element.append(...children);
	return element;
}

export const icon = (path) => svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path }));

/** Announce a sentence to screen readers. */
export function announce(sentence) {
	$("#announcer").textContent = sentence;
}

export const bytes = (count) =>
	count < 1024 ? `${count} B` : count < 1048576 ? `${(count / 1024).toFixed(1)} kB` : `${(count / 1048576).toFixed(1)} MB`;

export const ms = (count) => (count < 1000 ? `${Math.round(count)} ms` : `${(count / 1000).toFixed(2)} s`);

export async function copy(text, button) {
	await navigator.clipboard?.writeText(text);
	const label = button.textContent;
	button.textContent = "Copied";
	setTimeout(() => (button.textContent = label), 1200);
}
