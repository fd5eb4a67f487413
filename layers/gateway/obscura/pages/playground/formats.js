// What an image is, by its bytes alone: the format's signature, its sides, and whether the file is whole.

const text = (data, from, to) => String.fromCharCode(...data.subarray(from, to));
const hex = (data, from, count) => [...data.subarray(from, from + count)].map((one) => one.toString(16).padStart(2, "0")).join("");

/** Return the name of a known format, of one that is known not to be supported, or nothing. */
export function detect(data, checks) {
	if (text(data, 4, 8) === "ftyp") {
		const end = Math.min(new DataView(data.buffer, data.byteOffset).getUint32(0), 264, data.length);
		const brands = [text(data, 8, 12)];
		for (let at = 16; at < end; at += 4) brands.push(text(data, at, at + 4));
		if (brands.some((brand) => brand === "avif" || brand === "avis")) return { name: "AVIF" };
		if (brands.some((brand) => checks.heic_brands.includes(brand))) return { name: "HEIC" };
		return { unsupported: "Video (MP4, QuickTime)" };
	}
	for (const [name, parts] of Object.entries(checks.signatures)) {
		if (parts.every(([at, found]) => hex(data, at, found.length / 2) === found)) return { name };
	}
	if (hex(data, 0, 4) === "4d4d002a") return { name: "TIFF" };
	const named = checks.unsupported.find(([signature]) => hex(data, 0, signature.length / 2) === signature);
	if (named) return { unsupported: named[1] };
	const opening = text(data, 0, 1024).replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
	if (/^(<svg|<\?xml|<!--|<!doctype svg)/.test(opening) && opening.includes("<svg")) return { unsupported: "SVG" };
	if (/^(<!doctype html|<html)/.test(opening)) return { unsupported: "An HTML page" };
	return {};
}

/** Return {width, height, cut}: the sides where the header states them, and whether the file ends too early. */
export function measure(name, data) {
	const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
	try {
		return { PNG: png, JPEG: jpeg, GIF: gif, WEBP: webp }[name]?.(data, view) ?? {};
	} catch (error) {
		if (error instanceof RangeError) return { cut: ["PNG", "JPEG", "GIF", "WEBP"].includes(name) };
		throw error;
	}
}

function png(data, view) {
	const sides = { width: view.getUint32(16), height: view.getUint32(20) };
	for (let at = 8; ; ) {
		const end = at + 12 + view.getUint32(at);
		if (end > data.length) return { ...sides, cut: true };
		if (text(data, at + 4, at + 8) === "IEND") return sides;
		at = end;
	}
}

function jpeg(data, view) {
	for (let at = 2; ; ) {
		while (view.getUint8(at) === 0xff && view.getUint8(at + 1) === 0xff) at += 1;
		const marker = view.getUint8(at + 1);
		const end = at + 2 + view.getUint16(at + 2);
		if (end > data.length) return { cut: true };
		if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
			return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
		}
		at = end;
	}
}

function gif(data, view) {
	const sides = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
	return { ...sides, cut: data.length < 14 };
}

function webp(data, view) {
	const cut = 8 + view.getUint32(4, true) > data.length;
	const kind = text(data, 12, 16);
	if (kind === "VP8X") {
		const wide = (at) => 1 + view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
		return { width: wide(24), height: wide(27), cut };
	}
	if (kind === "VP8L") {
		const packed = view.getUint32(21, true);
		return { width: 1 + (packed & 0x3fff), height: 1 + ((packed >>> 14) & 0x3fff), cut };
	}
	return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff, cut };
}
