"use strict";
// The token calculator: the rules of obscura/imaging/tokens.py and resize.py, on the constants that the page was made with.
const facts = JSON.parse(document.getElementById("facts").textContent);
const { ceil, floor, max, min, sqrt } = Math;

// Rounds half to even, as Python does.
const roundEven = (x) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

function targetSize(width, height, side) {
  const longest = max(width, height);
  if (longest <= side) return [width, height];
  const least = ceil(side / facts.aspect_ratio);
  const shrunk = (px) => max(floor((2 * px * side + longest) / (2 * longest)), least);
  return [shrunk(width), shrunk(height)];
}

const rules = {
  qwen(width, height, c) {
    if (max(width, height) / min(width, height) > c.aspect_ratio) return null;
    let across = roundEven(width / c.factor_px), down = roundEven(height / c.factor_px);
    const pixels = across * down * c.factor_px ** 2;
    if (pixels > c.max_pixels) {
      const shrink = sqrt((width * height) / c.max_pixels);
      across = max(1, floor(width / shrink / c.factor_px));
      down = max(1, floor(height / shrink / c.factor_px));
    } else if (pixels < c.min_pixels) {
      const grow = sqrt(c.min_pixels / (width * height));
      across = ceil((width * grow) / c.factor_px);
      down = ceil((height * grow) / c.factor_px);
    }
    return across * down;
  },
  openai_tiles(width, height, c, detail) {
    if (detail === "low") return c.base;
    // The fit as a fraction, so that a side that ends at a tile does not begin another.
    let [up, under] = [1, 1];
    if (max(width, height) > c.square_px) [up, under] = [c.square_px, max(width, height)];
    if (c.short_px * under < up * min(width, height)) [up, under] = [c.short_px, min(width, height)];
    const tiles = (px) => ceil((px * up) / (under * c.tile_px));
    return c.base + c.each * tiles(width) * tiles(height);
  },
  openai_patches(width, height, c, detail, factor) {
    const patches = ceil(width / c.patch_px) * ceil(height / c.patch_px);
    if (patches <= c.patches) return ceil(patches * factor);
    const shrink = sqrt((c.patch_px ** 2 * c.patches) / (width * height));
    const across = (width * shrink) / c.patch_px, down = (height * shrink) / c.patch_px;
    const whole = min(max(1, floor(across)) / across, max(1, floor(down)) / down);
    const up = (x) => ceil(Number((x * whole).toFixed(6)));
    return ceil(min(c.patches, up(across) * up(down)) * factor);
  },
  anthropic: (width, height, c) => ceil(width / c.patch_px) * ceil(height / c.patch_px),
};

function imageTokens(width, height, profile, detail, factor) {
  const [wide, high] = targetSize(width, height, facts.sides[detail]);
  return { width: wide, height: high, tokens: rules[profile](wide, high, facts.rules[profile], detail, factor) };
}

const form = document.getElementById("calculator"), out = document.getElementById("tokens");

function calculate() {
  const { width, height, profile, detail, factor } = Object.fromEntries(new FormData(form));
  document.getElementById("factor-field").hidden = profile !== "openai_patches";
  const [w, h, f] = [Number(width), Number(height), Number(factor)];
  const whole = (n) => n.toLocaleString("en");
  if (!(Number.isInteger(w) && Number.isInteger(h) && w > 0 && h > 0 && f > 0)) {
    out.textContent = "Sides are whole numbers of pixels from 1, and a factor is above 0.";
  } else if (w * h > facts.pixels) {
    out.textContent = `${whole(w * h)} pixels are refused: image_too_many_pixels, the limit is ${whole(facts.pixels)}.`;
  } else if (max(w, h) > facts.aspect_ratio * min(w, h)) {
    out.textContent = `Refused: unsupported_image_dimensions, the limit is ${facts.aspect_ratio}:1.`;
  } else {
    const seen = imageTokens(w, h, profile, detail, f);
    out.textContent = `${whole(seen.tokens)} tokens; the model sees ${whole(seen.width)} × ${whole(seen.height)} px.`;
  }
}

form.addEventListener("input", calculate);
form.addEventListener("submit", (event) => event.preventDefault());
calculate();

// Examples name this gateway: the address without the guide's own path.
const base = location.origin.startsWith("http") ? location.href.replace(/\/docs\/vision\/?([?#].*)?$/, "") : null;
if (base) for (const place of document.querySelectorAll(".base")) place.textContent = base;
