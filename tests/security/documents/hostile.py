"""PDFs that are made to cost time or memory, to reach something outside of themselves, or to break their reader."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import md5
from itertools import pairwise

from tests.support.pdfs import PdfBuilder, a_pdf, assembled, deflated, one_page, rectangle, stream, text_operators

_MARKER = text_operators("marker")
HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox [0 0 595 842]/Contents 5 0 R/Resources <</Font <</F1 3 0 R>>>>>>"
_md5 = partial(md5, usedforsecurity=False)
_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def rc4(key: bytes, data: bytes) -> bytes:
    state, at = list(range(256)), 0
    for index in range(256):
        at = (at + state[index] + key[index % len(key)]) % 256
        state[index], state[at] = state[at], state[index]
    out, first, second = bytearray(), 0, 0
    for byte in data:
        first = (first + 1) % 256
        second = (second + state[first]) % 256
        state[first], state[second] = state[second], state[first]
        out.append(byte ^ state[(state[first] + state[second]) % 256])
    return bytes(out)


def encrypted(password: bytes) -> bytes:
    """A PDF that opens with this password alone (ISO 32000-1, §7.6.3, revision 2: RC4 with 40 bits)."""
    file_id, permissions = b"0123456789abcdef", -4
    padded = (password + _PAD)[:32]
    owner = rc4(_md5((b"owner" + _PAD)[:32]).digest()[:5], padded)
    key = _md5(padded + owner + struct.pack("<i", permissions) + file_id).digest()[:5]
    content = rc4(_md5(key + (5).to_bytes(3, "little") + bytes(2)).digest()[:10], _MARKER)
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids [4 0 R]/Count 1>>",
        3: HELVETICA,
        4: _PAGE,
        5: stream(content),
        6: b"<</Filter/Standard/V 1/R 2/O <%s>/U <%s>/P %d>>"
        % (owner.hex().encode(), rc4(key, _PAD).hex().encode(), permissions),
    }
    identity = file_id.hex().encode()
    return assembled(objects, b"/Encrypt 6 0 R/ID [<%s><%s>]" % (identity, identity))


def nested_arrays() -> bytes:
    return assembled(_objects(b"[" * 500_000 + b"]" * 500_000))


def deep_page_tree(levels: int = 20_000) -> bytes:
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>", 3: HELVETICA}
    numbers = [2, *range(4, 4 + levels)]
    for number, kid in pairwise(numbers):
        objects[number] = b"<</Type/Pages/Kids [%d 0 R]/Count 1>>" % kid
    objects[numbers[-1]] = b"<</Type/Page/MediaBox [0 0 100 100]>>"
    return assembled(objects)


def page_tree_loop() -> bytes:
    return assembled(
        {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids [2 0 R 2 0 R]/Count 40/Parent 2 0 R>>"}
    )


def xref_loop() -> bytes:
    whole = a_pdf()
    start = whole.rindex(b"xref\n0 ")
    return whole.replace(b"/Root 1 0 R", b"/Prev %d/Root 1 0 R" % start)


def length_of_itself() -> bytes:
    """A stream whose length is the stream."""
    return assembled(_objects(b"0") | {5: b"<</Length 5 0 R>>\nstream\n" + _MARKER + b"endstream"})


def object_stream_loop() -> bytes:
    """An object stream that says it is in itself and extends itself."""
    packed = b"7 0 <</Type/Catalog/Pages 2 0 R>>"
    return assembled(_objects(b"0") | {6: stream(packed, b"/Type/ObjStm/N 1/First 4/Extends 6 0 R")}, b"/XRefStm 9")


def flate_bomb() -> bytes:
    """A content stream of 1 GB in 1 MB."""
    return _content(spaces(100), b"/Filter/FlateDecode")


def flate_bomb_twice() -> bytes:
    """A content stream of 2 GB, deflated twice."""
    return _content(zlib.compress(spaces(200), 9), b"/Filter[/FlateDecode/FlateDecode]")


def spaces(times: int) -> bytes:
    """Ten million spaces, so many times, deflated once and repeated (RFC 1951 §2: blocks after a full flush)."""
    packer, piece = zlib.compressobj(9, wbits=-15), b" " * 10_000_000
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(times):
        checksum = zlib.adler32(piece, checksum)
    return b"\x78\xda" + packed * times + b"\x03\x00" + checksum.to_bytes(4)


def endless_paths() -> bytes:
    """Four million strokes across the page."""
    return _content(*deflated(b"0 0 m 500 800 l S 0 800 m 500 0 l S\n" * 2_000_000))


def endless_text() -> bytes:
    return _content(*deflated(b"BT /F1 9 Tf " + b"(aaaaaaaaaaaaaaaaaaaa) Tj 0 0 Td " * 20_000 + b"ET"))


def form_doubling() -> bytes:
    """Forms that draw the one before ten times: 10^30 rectangles."""
    pdf = PdfBuilder()
    form = b"/Type/XObject/Subtype/Form/BBox [0 0 595 842]"
    last = pdf.stream(rectangle(0, 0, 50, 50, "1 0 0"), form)
    for _ in range(30):
        last = pdf.stream(b"/X Do " * 10, form + b"/Resources <</XObject <</X %d 0 R>>>>" % last)
    pdf.page(b"/X Do", resources=b"/XObject <</X %d 0 R>>" % last)
    return pdf.build()


def form_of_itself() -> bytes:
    pdf = PdfBuilder()
    itself = pdf.add(b"")
    pdf.objects[itself] = stream(
        b"/X Do", b"/Type/XObject/Subtype/Form/BBox [0 0 9 9]/Resources <</XObject <</X %d 0 R>>>>" % itself
    )
    pdf.page(b"/X Do", resources=b"/XObject <</X %d 0 R>>" % itself)
    return pdf.build()


def tiny_tiles() -> bytes:
    """A pattern that repeats each millionth of a unit."""
    pdf = PdfBuilder()
    tile = pdf.stream(
        rectangle(0, 0, 1, 1, "1 0 0"),
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox [0 0 1 1]/XStep 0.000001/YStep 0.000001"
        b"/Resources <<>>",
    )
    pdf.page(b"/Pattern cs /P scn 0 0 595 842 re f", resources=b"/Pattern <</P %d 0 R>>" % tile)
    return pdf.build()


def tiny_dashes() -> bytes:
    return one_page(b"[0.00001] 0 d 1 w 0 0 m 595 842 l S " * 50)


def shading_of_postscript() -> bytes:
    """A shading whose colour is computed by a long program at each of its pixels."""
    pdf = PdfBuilder()
    program = b"{" + b" dup mul sqrt" * 30_000 + b" dup dup }"
    function = pdf.stream(program, b"/FunctionType 4/Domain [0 1 0 1]/Range [0 1 0 1 0 1]")
    shading = (
        b"/Shading <</S <</ShadingType 1/ColorSpace/DeviceRGB/Domain [0 1 0 1]/Matrix [595 0 0 842 0 0]"
        b"/Function %d 0 R>>>>"
    )
    pdf.page(b"/S sh", resources=shading % function)
    return pdf.build()


def image(entries: bytes, data: bytes) -> bytes:
    pdf = PdfBuilder()
    drawn = pdf.stream(data, b"/Type/XObject/Subtype/Image " + entries)
    pdf.page(b"q 595 0 0 842 0 0 cm /I Do Q", resources=b"/XObject <</I %d 0 R>>" % drawn)
    return pdf.build()


def huge_image() -> bytes:
    return image(
        b"/Width 60000/Height 60000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode",
        deflated(bytes(10**7))[0],
    )


def huge_jbig2() -> bytes:
    segment = struct.pack(">IBBBI", 0, 0x30, 0, 1, 19) + struct.pack(">IIIIBH", 65_000, 65_000, 0, 0, 0, 0)
    generic = struct.pack(">IBBBI", 1, 0x26, 0, 1, 400) + struct.pack(">IIIIB", 65_000, 65_000, 0, 0, 0) + b"\0" * 383
    return image(
        b"/Width 65000/Height 65000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/JBIG2Decode", segment + generic
    )


def huge_jpx() -> bytes:
    size = struct.pack(">HHHIIIIIIIIH", 0xFF51, 47, 0, 60_000, 60_000, 0, 0, 60_000, 60_000, 0, 0, 3) + b"\7\1\1" * 3
    style = bytes.fromhex("ff52000c00000001000504040001ff5c001040404848504848504848504848504848")
    return image(b"/Width 60000/Height 60000/Filter/JPXDecode", b"\xff\x4f" + size + style + b"\xff\xd9")


def type3_of_itself() -> bytes:
    pdf = PdfBuilder()
    glyph, font = pdf.add(b""), pdf.add(b"")
    pdf.objects[glyph] = stream(b"9 0 d0 BT /T 1 Tf (aaaaaaaaaa) Tj ET")
    pdf.objects[font] = (
        b"<</Type/Font/Subtype/Type3/FontBBox [0 0 9 9]/FontMatrix [1 0 0 1 0 0]/FirstChar 97/LastChar 97/Widths [9]"
        b"/CharProcs <</a %d 0 R>>/Encoding <</Differences [97/a]>>/Resources <</Font <</T %d 0 R>>>>>>" % (glyph, font)
    )
    pdf.page(b"BT /T 9 Tf (aaaa) Tj ET", resources=b"/Font <</T %d 0 R>>" % font)
    return pdf.build()


def with_catalogue(entries: bytes, *objects: bytes) -> bytes:
    pdf = PdfBuilder(catalogue=entries)
    pdf.page(_MARKER)
    for body in objects:
        pdf.add(body)
    return pdf.build()


def javascript() -> bytes:
    return with_catalogue(
        b"/OpenAction <</S/JavaScript/JS (while\\(true\\){} app.launchURL\\('http://127.0.0.1:9/'\\))>>"
        b"/AA <</WC <</S/JavaScript/JS (while\\(true\\){})>>>>"
    )


def embedded_file() -> bytes:
    return with_catalogue(
        b"/Names <</EmbeddedFiles <</Names [(virus.exe) <</Type/Filespec/F (virus.exe)/EF <</F 6 0 R>>>>]>>>>",
        stream(b"MZ" + bytes(1000), b"/Type/EmbeddedFile"),
    )


def external_references(path: str = "/etc/passwd") -> bytes:
    """A launch, a remote page, a form's data, an image and a content stream in other files and hosts."""
    at = path.encode()
    pdf = PdfBuilder(
        catalogue=b"/OpenAction <</S/Launch/F (%s)/Next <</S/URI/URI (http://127.0.0.1:9/)"
        b"/Next <</S/GoToR/F (%s)/D [0]>>>>>>"
        b"/AcroForm <</Fields []/XFA (http://127.0.0.1:9/)>>" % (at, at)
    )
    drawn = pdf.add(b"<</Type/XObject/Subtype/Image/Width 9/Height 9/Length 0/F (%s)>>\nstream\n\nendstream" % at)
    content = pdf.add(
        b"<</Length %d/F <</Type/Filespec/F (%s)>>>>\nstream\n%s\nendstream" % (len(_MARKER), at, _MARKER)
    )
    pdf.page_of(
        content,
        resources=b"/XObject <</I %d 0 R>>" % drawn,
        entries=b"/AA <</O <</S/SubmitForm/F (http://127.0.0.1:9/)>>>>",
    )
    return pdf.build()


def many_kids() -> bytes:
    """A page tree that counts two thousand million pages."""
    return a_pdf().replace(b"/Count 1", b"/Count 2000000000")


def _content(packed: bytes, entries: bytes) -> bytes:
    pdf = PdfBuilder()
    pdf.page_of(pdf.stream(packed, entries))
    return pdf.build()


def _objects(extra: bytes) -> dict[int, bytes]:
    return {
        1: b"<</Type/Catalog/Pages 2 0 R/Extra 6 0 R>>",
        2: b"<</Type/Pages/Kids [4 0 R]/Count 1>>",
        3: HELVETICA,
        4: _PAGE,
        5: stream(_MARKER),
        6: extra,
    }


HOSTILE: dict[str, Callable[[], bytes]] = {
    made.__name__: made
    for made in (
        nested_arrays, deep_page_tree, page_tree_loop, xref_loop, length_of_itself, object_stream_loop, flate_bomb,
        flate_bomb_twice, endless_paths, endless_text, form_doubling, form_of_itself, tiny_tiles, tiny_dashes,
        shading_of_postscript, huge_image, huge_jbig2, huge_jpx, type3_of_itself, javascript, embedded_file,
        external_references, many_kids,
    )
}  # fmt: skip
