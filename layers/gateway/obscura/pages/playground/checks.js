// The API's own limits, checked before anything is sent, in the words of its errors (GET playground/limits.json).

import { detect, measure } from "./formats.js";

/** Return {code, text} of an error: its message with the numbers filled in. */
export function problem(checks, name, values = {}) {
	const { code, text } = checks.messages[name];
	const filled = text.replace(/\{(\w+)(,?)\}/g, (_, key, grouped) =>
		grouped ? values[key].toLocaleString("en-US") : String(values[key]),
	);
	return { code, text: filled };
}

/** Return what the bytes of a file are, and the error that the API would give, if there is one. */
export function inspectBytes(data, checks) {
	const { limits } = checks;
	const facts = { bytes: data.length };
	const refuse = (name, values) => ({ ...facts, problem: problem(checks, name, values) });
	if (data.length === 0) return refuse("empty");
	if (data.length > limits.image_bytes) return refuse("too_large", { bytes: data.length, limit: limits.image_bytes });
	const found = data.length < 12 ? {} : detect(data, checks);
	if (found.unsupported) return refuse("known_format", { name: found.unsupported });
	const format = checks.formats.find((known) => known.name === found.name);
	if (found.name && !format) return refuse("known_format", { name: found.name });
	if (!format) return refuse("unknown_format");
	const { width, height, cut } = measure(format.name, data);
	Object.assign(facts, { format: format.name, mediaType: format.media_type, width, height });
	const sides = width && height ? checkSides(facts, checks) : null;
	if (sides) return { ...facts, problem: sides };
	return cut ? refuse("cut_short", { name: format.name }) : facts;
}

export function checkSides({ format, width, height }, checks) {
	const { limits, formats } = checks;
	const own = formats.find((known) => known.name === format)?.max_pixels;
	const longer = Math.max(width, height);
	if (width * height > limits.image_pixels) {
		return problem(checks, "too_many_pixels", { width, height, limit: limits.image_pixels });
	}
	if (own && width * height > own) {
		return problem(checks, "too_many_pixels_of_format", { width, height, name: format, limit: own });
	}
	if (longer > limits.aspect_ratio * Math.min(width, height)) {
		return problem(checks, "aspect_ratio", { width, height, limit: limits.aspect_ratio });
	}
	return null;
}

/** Return the errors of a whole request: how many images and parts it has, how large its body is. */
export function checkRequest({ images, parts, path, bodyBytes }, checks) {
	const { limits } = checks;
	const found = [];
	if (images > limits.images) found.push(problem(checks, "too_many_images", { count: images, limit: limits.images }));
	else if (parts > limits.content_parts) {
		found.push(problem(checks, "too_many_parts", { path, count: parts, limit: limits.content_parts }));
	}
	if (bodyBytes > limits.body_bytes) found.push(problem(checks, "body_too_large", { limit: limits.body_bytes }));
	return found;
}
