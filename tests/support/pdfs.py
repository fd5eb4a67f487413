"""PDFs as bytes: ordinary ones, and hostile ones, written object by object (ISO 32000-1, §7.5)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

A4 = (595, 842)
type Size = tuple[float, float]


def text_operators(words: str, *, x: int = 50, y: int = 50, points: int = 24, mode: int = 0) -> bytes:
    """Content that writes words in Helvetica; in mode 3 they are in the text layer and not on the page."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F1 {points} Tf {mode} Tr {x} {y} Td ({escaped}) Tj ET\n".encode("latin-1")


def rectangle(x: float, y: float, width: float, height: float, rgb: str) -> bytes:
    return f"{rgb} rg {x} {y} {width} {height} re f\n".encode()


@dataclass
class PdfBuilder:
    """Objects by number: 1 is the catalogue, 2 the page tree, 3 the font; pages and all else follow."""

    objects: dict[int, bytes] = field(default_factory=dict)
    kids: list[int] = field(default_factory=list)
    catalogue: bytes = b""
    trailer: bytes = b""

    def add(self, body: bytes) -> int:
        number = max(self.objects, default=3) + 1
        self.objects[number] = body
        return number

    def stream(self, data: bytes, entries: bytes = b"") -> int:
        return self.add(stream(data, entries))

    def page(self, content: bytes, size: Size = A4, entries: bytes = b"", resources: bytes = b"") -> int:
        """Add a page with this content; ``resources`` beside the font, ``entries`` beside the usual ones."""
        return self.page_of(self.stream(content), size, entries, resources)

    def page_of(self, content: int, size: Size = A4, entries: bytes = b"", resources: bytes = b"") -> int:
        box = b"/MediaBox [0 0 %.3f %.3f]" % size if b"/MediaBox" not in entries else b""
        body = b"<</Type/Page/Parent 2 0 R %s /Contents %d 0 R /Resources <</Font <</F1 3 0 R>> %s>> %s>>"
        number = self.add(body % (box, content, resources, entries))
        self.kids.append(number)
        return number

    def build(self) -> bytes:
        kids = b" ".join(b"%d 0 R" % kid for kid in self.kids)
        fixed = {
            1: b"<</Type/Catalog/Pages 2 0 R %s>>" % self.catalogue,
            2: b"<</Type/Pages/Kids [%s]/Count %d>>" % (kids, len(self.kids)),
            3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        }
        return assembled(fixed | self.objects, self.trailer)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def assembled(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), {}
    for number, body in sorted(objects.items()):
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, last = len(out), max(objects)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (last + 1)
    for number in range(1, last + 1):
        out += b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 65535 f \n"
    out += b"trailer\n<</Size %d/Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (last + 1, trailer, start)
    return bytes(out)


def a_pdf(pages: Sequence[str] = ("Hello page one",), size: Size = A4) -> bytes:
    """A PDF with a page for each text."""
    pdf = PdfBuilder()
    for words in pages:
        pdf.page(text_operators(words), size)
    return pdf.build()


def one_page(content: bytes, size: Size = A4, entries: bytes = b"", resources: bytes = b"") -> bytes:
    pdf = PdfBuilder()
    pdf.page(content, size, entries, resources)
    return pdf.build()


def deflated(data: bytes) -> tuple[bytes, bytes]:
    return zlib.compress(data, 9), b"/Filter/FlateDecode"
