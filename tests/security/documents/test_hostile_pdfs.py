"""Hostile PDFs: each within the limits of time and memory, an error of that document and of nothing else."""

import asyncio
import ctypes
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from PIL import Image

from obscura.documents.base import DocumentLimits
from obscura.documents.child_process import pdfium_path
from obscura.documents.page import RenderedPage
from obscura.documents.render import DocumentRenderer
from obscura.errors import DocumentTooLarge, InvalidDocument
from obscura.execution import Caller
from tests.security.documents.hostile import HOSTILE, encrypted, external_references, image
from tests.support.pdfs import PdfBuilder, a_pdf, deflated, rectangle, text_operators

LIMITS = DocumentLimits()
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and seccomp")
REPOSITORY = Path(__file__).parents[3]
MAX_MB = LIMITS.memory_bytes / 2**20 + 20
"""PDFium's memory, and what the process had before the limit."""
MAX_GROWN_MB = 40
"""Of the gateway: one page in pixels, and the buffers around it."""

REFUSED = "invalid_document", "document_too_large"
OUTCOMES: dict[str, tuple[str, ...]] = {
    "nested_arrays": ("marker",),
    "deep_page_tree": REFUSED,
    "page_tree_loop": REFUSED,
    "xref_loop": ("Hello page one",),
    "length_of_itself": ("marker",),
    "object_stream_loop": ("marker",),
    "flate_bomb": REFUSED,
    "flate_bomb_twice": REFUSED,
    "endless_paths": REFUSED,
    "endless_text": ("aaaaaaaaaaaaaaaaaaaa",),
    "form_doubling": REFUSED,
    "form_of_itself": ("",),
    "tiny_tiles": REFUSED,
    "tiny_dashes": ("",),
    "shading_of_postscript": REFUSED,
    "huge_image": ("",),
    "huge_jbig2": ("", *REFUSED),
    "huge_jpx": ("",),
    "type3_of_itself": ("aaaa",),
    "javascript": ("marker",),
    "embedded_file": ("marker",),
    "external_references": ("marker",),
    "many_kids": ("Hello page one",),
}
"""The text of the first page, or the codes with which the document is refused."""


@pytest.fixture
def renderer() -> Iterator[DocumentRenderer]:
    with closing(DocumentRenderer()) as renderer:
        yield renderer


async def rendered(renderer: DocumentRenderer, document: bytes, side_px: int = 200) -> list[RenderedPage]:
    return await renderer.render(
        document, longest_side_px=side_px, limits=LIMITS, caller=Caller(str(hash(document))), prepare=lambda page: page
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_time_and_memory_are_bounded(name: str) -> None:
    command = [sys.executable, "-m", "tests.security.documents.measured", name]
    process = subprocess.run(command, capture_output=True, check=True, cwd=REPOSITORY, timeout=50)

    measured = json.loads(process.stdout)
    assert (measured["code"] or measured["text"]) in OUTCOMES[name]
    assert measured["elapsed_s"] < LIMITS.seconds + 2
    assert measured["child_mb"] < MAX_MB
    assert measured["grown_mb"] < MAX_GROWN_MB


def ordinary_documents() -> list[bytes]:
    mixed = PdfBuilder(catalogue=b"/AcroForm <</Fields [4 0 R]>>")
    field = mixed.add(b"<</Type/Annot/Subtype/Widget/FT/Tx/T (f)/V (M)/Rect [0 0 90 90]/DA (/F1 9 Tf 0 g)>>")
    mixed.page_of(mixed.stream(*deflated(text_operators("packed") * 20)), (300, 300), b"/Annots [%d 0 R]" % field)
    mixed.page(rectangle(9, 9, 99, 99, "1 0 0") + text_operators("two"), (300, 300), b"/Rotate 90")
    photograph = Image.linear_gradient("L").convert("RGB")
    images = []
    for name, entries in (("JPEG", b"/Filter/DCTDecode/ColorSpace/DeviceRGB"), ("JPEG2000", b"/Filter/JPXDecode")):
        file = io.BytesIO()
        photograph.save(file, name)
        images.append(image(b"/Width 256/Height 256/BitsPerComponent 8" + entries, file.getvalue()))
    return [a_pdf(["one", "two"], (300, 300)), mixed.build(), encrypted(b""), *images]


@pytest.mark.parametrize("index", range(5))
async def test_the_documents_that_are_mutated_are_whole(index: int, renderer: DocumentRenderer) -> None:
    pages = await rendered(renderer, ordinary_documents()[index])

    assert any(len(set(page.pixels)) > 1 for page in pages)


def mutated(document: bytes, seed: int) -> bytes:
    chance = random.Random(seed)  # noqa: S311 the same mutations each time
    data = bytearray(document)
    for _ in range(chance.choice((1, 3, 10, 40))):
        at = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice(b"0123456789<>[]()/ \n")
            case 2:
                del data[at : at + chance.choice((1, 10, 100))]
            case 3:
                data[at:at] = data[at : at + chance.choice((1, 10, 100))]
            case 4:
                data[at : at + 1] = str(chance.choice((-1, 0, 65_536, 2**31 - 1, 2**32, 10**20))).encode()
    return bytes(data)


@pytest.mark.timeout(300)
async def test_300_mutations_are_rendered_or_refused(renderer: DocumentRenderer) -> None:
    documents = ordinary_documents()
    outcomes = {"rendered": 0, "refused": 0}

    async def attempt(seed: int) -> None:
        try:
            await rendered(renderer, mutated(documents[seed % len(documents)], seed))
            outcomes["rendered"] += 1
        except (InvalidDocument, DocumentTooLarge):
            outcomes["refused"] += 1

    await asyncio.gather(*(attempt(seed) for seed in range(300)))

    assert sum(outcomes.values()) == 300
    assert min(outcomes.values()) > 30


@linux
async def test_a_crash_is_an_error_of_its_document_alone(renderer: DocumentRenderer) -> None:
    slow = asyncio.create_task(rendered(renderer, HOSTILE["shading_of_postscript"](), 1280))
    pid = await _child()
    other = asyncio.create_task(rendered(renderer, a_pdf()))

    os.kill(pid, signal.SIGSEGV)

    with pytest.raises(InvalidDocument, match="could not be rendered"):
        await slow
    assert len(await other) == 1
    assert not Path(f"/proc/{pid}").exists()


async def _child() -> int:
    """The id of the one child, once it renders: its limits are in force by then."""
    async with asyncio.timeout(10):
        while True:
            for task in Path("/proc/self/task").iterdir():
                for pid in map(int, (task / "children").read_text().split()):
                    with suppress(OSError):
                        if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text():
                            return pid
            await asyncio.sleep(0.005)


@linux
async def test_the_child_holds_its_pipes_and_can_open_nothing(renderer: DocumentRenderer) -> None:
    task = asyncio.create_task(rendered(renderer, HOSTILE["shading_of_postscript"](), 1280))
    child = Path(f"/proc/{await _child()}")

    held = {path.name: str(path.readlink()).partition(":")[0] for path in (child / "fd").iterdir()}
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (child / "limits").read_text().splitlines()}
    environment = (child / "environ").read_bytes()
    status = (child / "status").read_text()
    task.cancel()

    assert held == {"0": "pipe", "1": "pipe", "2": "/dev/null"}
    assert limits["Max open files"] == limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max processes"] == ["0", "0"]
    assert limits["Max address space"] == [str(LIMITS.memory_bytes)] * 2
    assert limits["Max cpu time"] == ["11", "11"]
    assert all(entry.startswith(b"LD_LIBRARY_PATH=") for entry in environment.split(b"\0") if entry)
    assert "NoNewPrivs:\t1" in status


SANDBOXED = """
import os, socket, sys
sys.path.insert(0, {folder!r})
import ctypes
from child import sandbox
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
sandbox.enter({memory}, 5)
def error(call):
    try:
        call()
    except OSError as failed:
        return type(failed).__name__
    return "none"
calls = dict(
    open=lambda: open("/etc/hostname"), socket=lambda: socket.socket(), pair=lambda: socket.socketpair(),
    pipe=lambda: os.pipe(), copy=lambda: os.dup(1), fork=lambda: os.fork(), run=lambda: os.execv("/bin/true", ["x"]),
    list=lambda: os.listdir("/"), remove=lambda: os.unlink("/tmp/none"), stop=lambda: os.kill(os.getppid(), 0),
)
os.write(1, " ".join(name + "=" + error(call) for name, call in calls.items()).encode())
os._exit(0)
"""


@linux
def test_nothing_that_a_taken_over_child_tries_succeeds() -> None:
    folder = REPOSITORY / "layers/gateway/obscura/documents"
    code = SANDBOXED.format(folder=str(folder), memory=LIMITS.memory_bytes)

    process = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=20, check=True)

    outcomes = dict(pair.split("=") for pair in process.stdout.decode().split())
    assert set(outcomes) == {"open", "socket", "pair", "pipe", "copy", "fork", "run", "list", "remove", "stop"}
    assert set(outcomes.values()) == {"PermissionError"}


async def test_files_and_hosts_that_a_document_names_are_never_read(renderer: DocumentRenderer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(text_operators("secret of the host"))

    [page] = await rendered(renderer, external_references(str(secret)))

    assert page.text == "marker"


def test_this_pdfium_has_no_javascript() -> None:
    library = ctypes.CDLL(str(pdfium_path()))

    assert hasattr(library, "FPDF_InitLibraryWithConfig")
    assert not hasattr(library, "FPDF_GetRecommendedV8Flags")


async def test_scripts_never_run(renderer: DocumentRenderer) -> None:
    pdf = PdfBuilder(
        catalogue=b"/OpenAction <</S/JavaScript/JS (this.getField\\('f'\\).value = 'changed';)>>"
        b"/AcroForm <</Fields [4 0 R]/CO [4 0 R]/DR <</Font <</F1 3 0 R>>>>/DA (/F1 9 Tf 0 g)>>"
    )
    field = pdf.add(
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T (f)/Rect [0 0 100 100]/F 4/DA (/F1 30 Tf 0 g)"
        b"/AA <</C <</S/JavaScript/JS (event.value = 'MMMM';)>> /F <</S/JavaScript/JS (event.value = 'MMMM';)>>>>>>"
    )
    pdf.page(b"", (100, 100), b"/Annots [%d 0 R]/AA <</O <</S/JavaScript/JS (while\\(true\\){})>>>>" % field)

    [page] = await rendered(renderer, pdf.build())

    assert set(page.pixels) == {255}
