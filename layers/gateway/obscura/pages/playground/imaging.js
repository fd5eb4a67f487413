// The images of the request: opened in the worker, prepared for a detail, encoded when they are sent.

import { change, credentials, longestSide, model, state } from "./store.js";
import { imageTokens } from "./tokens.js";

const policy = globalThis.trustedTypes?.createPolicy("obscura", { createScriptURL: (url) => url });
const workerUrl = new URL("./worker.js", import.meta.url).href;
let worker;
let calls = 0;
const waiting = new Map();

function call(operation, values) {
	if (!worker) {
		worker = new Worker(policy ? policy.createScriptURL(workerUrl) : workerUrl, { type: "module" });
		worker.onmessage = ({ data: { id, result, error } }) => {
			const { resolve, reject } = waiting.get(id);
			waiting.delete(id);
			if (error === undefined) resolve(result);
			else reject(new Error(error));
		};
	}
	return new Promise((resolve, reject) => {
		calls += 1;
		waiting.set(calls, { resolve, reject });
		worker.postMessage({ id: calls, operation, values });
	});
}

let ids = 0;

/** Add files; each shows at once, and its facts when the worker has read it. */
export async function addFiles(files) {
	const added = [...files].map((file) => ({ id: (ids += 1), name: file.name || "image", blob: file, busy: true }));
	change({ images: [...state.images, ...added] });
	for (const image of added) await read(image);
	return added;
}

async function read(image) {
	Object.assign(image, { busy: true, problem: null, prepared: null, view: "original" });
	try {
		const { thumbnail, ...facts } = await call("open", { blob: image.blob, checks: state.checks });
		Object.assign(image, facts, { thumbnailUrl: thumbnail ? URL.createObjectURL(thumbnail) : null });
	} catch (error) {
		image.problem = { code: "invalid_image", text: error.message };
	}
	image.busy = false;
	change({ images: [...state.images] });
}

export function addUrl(url) {
	const image = { id: (ids += 1), name: new URL(url).hostname, url, busy: false };
	change({ images: [...state.images, image] });
}

export function remove(image) {
	for (const url of [image.thumbnailUrl, image.prepared?.url]) if (url) URL.revokeObjectURL(url);
	change({ images: state.images.filter((other) => other !== image) });
}

/** Move an image before another place of the list. */
export function move(image, to) {
	const others = state.images.filter((other) => other !== image);
	others.splice(Math.max(0, to), 0, image);
	change({ images: others });
}

export async function crop(image, area) {
	const { blob } = await call("prepare", { blob: image.blob, crop: area });
	if (image.thumbnailUrl) URL.revokeObjectURL(image.thumbnailUrl);
	image.blob = blob;
	await read(image);
}

/** Tokens of a size at a detail, by the counting rule of a model. */
export function tokens(size, detail = state.detail, id = state.model) {
	const known = model(id);
	return imageTokens(size.width, size.height, known?.token_profile, detail, known?.token_factor);
}

/** Show what the model sees: from the gateway where it can, else this browser's own resize. */
export async function showPrepared(image) {
	const made = `${state.detail} ${state.model} ${Boolean(credentials().Authorization)}`;
	if (image.prepared?.made !== made) {
		image.busy = true;
		change({ images: [...state.images] });
		try {
			image.prepared = await prepared(image);
			image.prepared.made = made;
			image.prepared.url = URL.createObjectURL(image.prepared.blob);
		} catch (error) {
			image.notice = error.message;
		}
		image.busy = false;
	}
	image.view = image.prepared ? "prepared" : "original";
	change({ images: [...state.images] });
}

async function prepared(image) {
	const { inspectImage } = await import("./inspect.js");
	const dataUrl = await inspectImage(image);
	if (dataUrl) return { ...(await call("decode", { dataUrl })), estimate: false };
	if (!image.blob || !image.thumbnailUrl) throw new Error("Only the gateway can show this image: enter a key.");
	return { ...(await call("prepare", { blob: image.blob, side: longestSide(state.detail) })), estimate: true };
}

/** Return an image as it is sent: {url} or {dataUrl, base64, mediaType, bytes}, downsized where that is chosen. */
export async function encoded(image, detail) {
	if (image.url) return { url: image.url };
	const side = longestSide(detail);
	const shrinks = state.downsize && image.thumbnailUrl && Math.max(image.width, image.height) > side;
	const blob = shrinks ? (await call("prepare", { blob: image.blob, side })).blob : image.blob;
	const mediaType = shrinks ? blob.type : image.mediaType;
	return { ...(await call("encode", { blob, mediaType })), mediaType, bytes: blob.size };
}
