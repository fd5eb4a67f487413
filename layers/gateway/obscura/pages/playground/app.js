// The page: fields bound to the state, the models, the code of the request. What the first look does not need loads when used.

import { startCompose } from "./compose.js";
import { $, copy, h } from "./dom.js";
import { apiUrl, change, credentials, model, onChange, state } from "./store.js";
import { render } from "./thumbnails.js";

const FIELDS = {
	text: "text", key: "key", model: "model", detail: "detail", stream: "stream", "zero-retention": "zeroRetention",
	downsize: "downsize", policy: "policy", schema: "schema", compare: "compare", "other-model": "otherModel", "other-detail": "otherDetail",
};
const failed = (error) => ($("#request-problem").textContent = error.message);
const ask = () => import("./run.js").then((run) => run.ask()).catch(failed);
const CHECKBOXES = new Set(["stream", "zero-retention", "downsize"]);
const SHOWN_ON_IMAGES = ["images", "detail", "model", "models"];

function bindFields() {
	for (const [id, name] of Object.entries(FIELDS)) {
		const field = $(`#${id}`);
		field.addEventListener(field.tagName === "SELECT" || CHECKBOXES.has(id) ? "change" : "input", () =>
			change({ [name]: CHECKBOXES.has(id) ? field.checked : field.value }));
	}
	for (const radio of document.querySelectorAll("[name=dialect], [name=access]")) {
		radio.addEventListener("change", () => change({ [radio.name]: radio.value }));
	}
	$("#key").addEventListener("change", loadModels);
	document.querySelectorAll("[name=access]").forEach((radio) => radio.addEventListener("change", loadModels));
}

/** Show the state in the fields: it changes without them when a request is edited again. */
function showFields() {
	for (const [id, name] of Object.entries(FIELDS)) {
		const field = $(`#${id}`);
		if (CHECKBOXES.has(id)) field.checked = state[name];
		else if (field.value !== state[name]) field.value = state[name];
	}
	document.querySelectorAll("[name=dialect], [name=access]").forEach((radio) => (radio.checked = radio.value === state[radio.name]));
	$("#key-field").hidden = state.access !== "key";
	$("#other-model-field").hidden = state.compare !== "model";
	$("#other-detail-field").hidden = state.compare !== "detail";
}

function showModelFacts() {
	const known = model();
	const sides = known?.detail_limits?.[state.detail];
	$("#model-facts").textContent = known
		? [known.input_modalities.includes("image") ? "takes images" : "takes no images", `${known.token_profile} counting`, sides ? `up to ${sides} px` : ""].filter(Boolean).join(" · ")
		: "";
}

/** Load the catalogue with the credential that is there; without one, as the free tier. */
async function loadModels() {
	const given = credentials();
	const headers = Object.keys(given).length ? given : { "X-Free-Tier": "true" };
	try {
		const response = await fetch(apiUrl("/api/models"), { headers });
		const answer = await response.json();
		if (!response.ok) throw new Error(answer.error?.message ?? "The models cannot be listed.");
		const models = answer.data.sort((one, other) => other.input_modalities.includes("image") - one.input_modalities.includes("image"));
		$("#models").replaceChildren(...models.map((known) => h("option", { value: known.id })));
		const otherModel = state.otherModel || (models[1] ?? models[0])?.id || "";
		change({ models, model: state.model || models[0]?.id || "", otherModel });
		$("#models-problem").textContent = "";
	} catch (error) {
		change({ models: [] });
		$("#models-problem").textContent = error.message;
	}
}

async function showCode() {
	if (!$("#code").open) return;
	let text;
	try {
		const { snippet } = await import("./snippets.js");
		const { snapshot } = await import("./request.js");
		text = snippet($("#language").value, snapshot());
	} catch (error) {
		text = error instanceof SyntaxError ? "The schema is not JSON." : String(error);
	}
	$("#snippet").textContent = text;
}

function startCode() {
	$("#language").addEventListener("change", showCode);
	$("#code").addEventListener("toggle", showCode);
	$("#copy-code").addEventListener("click", (event) => copy($("#snippet").textContent, event.target));
}

/** Learn which endpoints this deployment serves: policies and inspection may be absent. */
async function loadServed() {
	try {
		const { paths } = await (await fetch(apiUrl("/openapi.json"))).json();
		change({ served: new Set(Object.keys(paths)) });
	} catch {
		change({ served: new Set() });
	}
}

async function start() {
	bindFields();
	startCode();
	$("#compose").addEventListener("submit", (event) => {
		event.preventDefault();
		ask();
	});
	$("#stop").addEventListener("click", async () => (await import("./run.js")).stop());
	$("#text").addEventListener("keydown", (event) => {
		if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
	});
	document.querySelectorAll("[data-close]").forEach((button) => button.addEventListener("click", () => button.closest("dialog").close()));
	onChange((changed) => {
		showFields();
		showModelFacts();
		if (SHOWN_ON_IMAGES.some((name) => changed.has(name))) render();
		if (changed.has("served")) $("#policy-field").hidden = ![...state.served].some((path) => path.startsWith("/policy/"));
		showCode();
	});
	const checks = await (await fetch(apiUrl("/playground/limits.json"))).json();
	state.checks = checks;
	startCompose();
	const accepted = checks.formats.map((known) => known.media_type).join(",");
	$("#files").accept = accepted;
	document.body.dataset.ready = "true";
	change({ checks });
	await Promise.all([loadModels(), loadServed(), import("./run.js").catch(failed)]);
}

start();
