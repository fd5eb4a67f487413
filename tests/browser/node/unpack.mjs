// Unpacks what @sparticuz/chromium ships into $TMPDIR: `chromium`, its fonts, and the libraries that a bare system lacks.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflate } from "@sparticuz/chromium";

const packed = join(import.meta.dirname, "node_modules", "@sparticuz", "chromium", "bin");

await Promise.all(
  ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"].map((name) => inflate(join(packed, name))),
);

// Its own configuration names Lambda's folders: without a font, Chromium ends at the first text field.
writeFileSync(
  join(process.env.TMPDIR, "fonts", "fonts.conf"),
  '<?xml version="1.0"?><fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n',
);
