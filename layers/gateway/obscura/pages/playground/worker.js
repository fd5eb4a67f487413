// Everything that is heavy, away from the page's thread: reading, decoding, resizing, base64.

import { checkSides, inspectBytes } from "./checks.js";

const THUMBNAIL_PX = 480;
const JPEG_QUALITY = 0.9;

/** Read and check a file, and make its thumbnail where this browser can decode it. */
async function open({ blob, checks }) {
	if (blob.size > checks.limits.image_bytes) {
		return inspectBytes({ length: blob.size }, checks);
	}
	const data = new Uint8Array(await blob.arrayBuffer());
	const facts = inspectBytes(data, checks);
	if (facts.problem) return facts;
	let bitmap;
	try {
		bitmap = await createImageBitmap(new Blob([data], { type: facts.mediaType }));
	} catch {
		return facts; // HEIC and TIFF: few browsers decode them, the gateway does
	}
	Object.assign(facts, { width: bitmap.width, height: bitmap.height });
	facts.problem = checkSides(facts, checks);
	if (!facts.problem) facts.thumbnail = (await draw(bitmap, fit(bitmap, THUMBNAIL_PX))).blob;
	bitmap.close();
	return facts;
}

/** Shrink an image as the gateway would: upright, flattened onto white, never enlarged. */
async function prepare({ blob, side, crop }) {
	const whole = await createImageBitmap(blob);
	const area = crop ?? { x: 0, y: 0, width: whole.width, height: whole.height };
	const size = side ? fit(area, side) : { width: area.width, height: area.height };
	const { blob: shrunk, canvas } = await draw(whole, size, area);
	whole.close();
	const prepared = blob.type === "image/png" ? await canvas.convertToBlob({ type: blob.type }) : shrunk;
	return { blob: prepared, ...size, bytes: prepared.size };
}

/** Return a data URL as a blob, so that no long string reaches the page. */
function encode({ blob, mediaType }) {
	const url = new FileReaderSync().readAsDataURL(new Blob([blob], { type: mediaType }));
	return { dataUrl: new Blob([url]), base64: new Blob([url.slice(url.indexOf(",") + 1)]) };
}

/** Decode a data URL: its blob and its sides. */
async function decode({ dataUrl }) {
	const [head, encoded] = dataUrl.split(",");
	const data = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
	const blob = new Blob([data], { type: head.slice(5, head.indexOf(";")) });
	const bitmap = await createImageBitmap(blob);
	const sides = { width: bitmap.width, height: bitmap.height };
	bitmap.close();
	return { blob, ...sides, bytes: blob.size };
}

function fit({ width, height }, side) {
	const scale = Math.min(1, side / Math.max(width, height));
	return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

async function draw(bitmap, { width, height }, area = { x: 0, y: 0, width: bitmap.width, height: bitmap.height }) {
	const canvas = new OffscreenCanvas(width, height);
	const context = canvas.getContext("2d", { alpha: false });
	context.fillStyle = "white";
	context.fillRect(0, 0, width, height);
	context.imageSmoothingQuality = "high";
	context.drawImage(bitmap, area.x, area.y, area.width, area.height, 0, 0, width, height);
	return { canvas, blob: await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY }) };
}

const OPERATIONS = { open, prepare, encode, decode };

self.onmessage = async ({ data: { id, operation, values } }) => {
	try {
		self.postMessage({ id, result: await OPERATIONS[operation](values) });
	} catch (error) {
		self.postMessage({ id, error: String(error?.message ?? error) });
	}
};
