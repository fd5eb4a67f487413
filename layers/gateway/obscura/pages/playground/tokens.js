// How many tokens an image costs, by the model's counting rule: obscura.imaging.tokens, to which a test compares this.

const PATCH = 28;
const MIN_PIXELS = 4 * PATCH ** 2;
const MAX_PIXELS = 16384 * PATCH ** 2;

function roundHalfEven(value) {
	const floor = Math.floor(value);
	if (value - floor !== 0.5) return Math.round(value);
	return floor % 2 ? floor + 1 : floor;
}

function qwen(width, height) {
	let across = roundHalfEven(width / PATCH);
	let down = roundHalfEven(height / PATCH);
	const pixels = across * down * PATCH ** 2;
	if (pixels > MAX_PIXELS) {
		const shrink = Math.sqrt((width * height) / MAX_PIXELS);
		across = Math.max(1, Math.floor(width / shrink / PATCH));
		down = Math.max(1, Math.floor(height / shrink / PATCH));
	} else if (pixels < MIN_PIXELS) {
		const grow = Math.sqrt(MIN_PIXELS / (width * height));
		across = Math.ceil((width * grow) / PATCH);
		down = Math.ceil((height * grow) / PATCH);
	}
	return across * down;
}

// Whole numbers first: 768 / shorter side would not always come out exact.
function openaiTiles(width, height) {
	let [over, under] = [1, 1];
	if (Math.max(width, height) > 2048) [over, under] = [2048, Math.max(width, height)];
	if (768 * under < Math.min(width, height) * over) [over, under] = [768, Math.min(width, height)];
	const tiles = (side) => Math.ceil((side * over) / (under * 512));
	return 85 + 170 * tiles(width) * tiles(height);
}

function openaiPatches(width, height) {
	const patches = Math.ceil(width / 32) * Math.ceil(height / 32);
	if (patches <= 1536) return patches;
	const shrink = Math.sqrt((1024 * 1536) / (width * height));
	const across = (width * shrink) / 32;
	const down = (height * shrink) / 32;
	const whole = Math.min(Math.max(1, Math.floor(across)) / across, Math.max(1, Math.floor(down)) / down);
	const side = (value) => Math.ceil(Number((value * whole).toFixed(6)));
	return Math.min(1536, side(across) * side(down));
}

export function imageTokens(width, height, profile = "qwen", detail = "auto", factor = 1) {
	if (profile === "openai_tiles") return detail === "low" ? 85 : openaiTiles(width, height);
	if (profile === "openai_patches") return Math.ceil(openaiPatches(width, height) * factor);
	if (profile === "anthropic") return Math.ceil(width / PATCH) * Math.ceil(height / PATCH);
	return qwen(width, height);
}
