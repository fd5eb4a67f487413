// Unpacks what @sparticuz/chromium ships into $TMPDIR: `chromium`, its fonts, and the libraries that a bare system lacks.
import { join } from "node:path";
import { inflate } from "@sparticuz/chromium";

const packed = join(import.meta.dirname, "node_modules", "@sparticuz", "chromium", "bin");

await Promise.all(
  ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"].map((name) => inflate(join(packed, name))),
);
