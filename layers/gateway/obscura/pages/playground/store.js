// The state of the page, in memory alone: never in storage, cookies or the URL.

export const state = {
	key: "",
	access: "key",
	images: [],
	text: "",
	dialect: "chat",
	model: "",
	detail: "auto",
	stream: true,
	zeroRetention: false,
	downsize: false,
	policy: "",
	schema: "",
	compare: "",
	otherModel: "",
	otherDetail: "low",
	models: [],
	checks: null,
	served: new Set(),
};

const listeners = new Set();
let scheduled = false;

export const onChange = (listener) => listeners.add(listener);

/** Change the state; listeners hear of it once a frame, with the names that changed since. */
const pending = new Set();
export function change(patch = {}) {
	Object.assign(state, patch);
	Object.keys(patch).forEach((name) => pending.add(name));
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		scheduled = false;
		const changed = new Set(pending);
		pending.clear();
		listeners.forEach((listener) => listener(changed));
	});
}

export const model = (id = state.model) => state.models.find((known) => known.id === id);

/** URLs are relative to the page, which a deployment may serve below a stage or a prefix. */
export const apiUrl = (path) => new URL(path.replace(/^\//, ""), document.baseURI).href;

export function credentials() {
	if (state.access === "free") return { "X-Free-Tier": "true" };
	return state.key ? { Authorization: `Bearer ${state.key}` } : {};
}

/** The longest side at a detail, by the model's catalogue entry or the gateway's default. */
export function longestSide(detail, id = state.model) {
	return model(id)?.detail_limits?.[detail] ?? state.checks.limits.longest_side_px[detail];
}
