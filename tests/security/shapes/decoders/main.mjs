// What JavaScript's JSON.parse reads in a request; arguments, input and output as those of main.go.
import { createInterface } from "node:readline";

const keys = process.argv[2].split(",");
const open = new Set(process.argv[3].split(","));

function walk(value, path, inOpen, found) {
  if (typeof value === "string") {
    found.push([path, value]);
  } else if (Array.isArray(value)) {
    value.forEach((item, index) => walk(item, `${path}[${index}]`, inOpen, found));
  } else if (value !== null && typeof value === "object") {
    for (const key of inOpen ? Object.keys(value) : keys) {
      if (Object.hasOwn(value, key)) walk(value[key], `${path}.${key}`, inOpen || open.has(key), found);
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const found = [];
  let answer = found;
  try {
    walk(JSON.parse(new TextDecoder("utf-8").decode(Buffer.from(line, "base64"))), "", false, found);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
