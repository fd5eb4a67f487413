"""The steps of a request with an image, each beside its floor, and how long each holds the interpreter's lock.

The steps are the gateway's own functions, called one after the other in this process; sockets are not among them. A
floor is what the same libraries need for the bare work, without any of the checks.
"""

import io
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import pybase64
from PIL import Image

from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.requests import Target, request_for
from obscura.dialects.base import ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.data_url import base64_of, decode_base64, encode_data_url
from obscura.dialects.json.raw import RawJson
from obscura.imaging import Detail, ImageLimits, prepare

_TARGET_SIDE_PX, _QUALITY = 1280, 90
_NAP_S = 50e-6


@dataclass(frozen=True, slots=True)
class Step:
    """A step's median, its longest hold of the interpreter, and its floor (0 if it is part of another's)."""

    request: str
    name: str
    elapsed_ms: float
    longest_hold_ms: float
    floor: str = ""
    floor_ms: float = 0


def measure(images: Images, *, quick: bool) -> list[Step]:
    """Return the steps of both inline scenarios, in the order in which a request takes them."""
    runs = 5 if quick else 15
    steps = []
    for name in ("1mb", "10mb"):
        wire = request_for(name, Target("http://127.0.0.1:1/v1"), images, "").wire
        steps += _steps(name, wire.partition(b"\r\n\r\n")[2], runs)
    return steps


def table(steps: Sequence[Step]) -> str:
    """Return a line per step with its share of the request's sum."""
    lines = []
    for request in dict.fromkeys(step.request for step in steps):
        own = [step for step in steps if step.request == request]
        total_ms = sum(step.elapsed_ms for step in own)
        floor_ms = sum(step.floor_ms for step in own)
        lines.append(f"Steps of {request + ' inline':<34}{'ms':>8}{'share':>8}{'longest hold':>14}{'floor ms':>10}")
        for step in own:
            cells = (
                f"{step.elapsed_ms:8.2f}{step.elapsed_ms / total_ms:8.1%}{step.longest_hold_ms:14.2f}"
                if step.elapsed_ms
                else ""
            )
            floor = f"{step.floor_ms:10.2f}  {step.floor}" if step.floor else ""
            lines.append(f"  {step.name:<41}{cells:30}{floor}".rstrip())
        lines.append(f"  {'all':<41}{total_ms:8.2f}{'':22}{floor_ms:10.2f}  {total_ms / floor_ms:.2f} x the floor\n")
    return "\n".join(lines)


def _steps(request: str, body: bytes, runs: int) -> list[Step]:
    """Measure each step on the result of the one before it."""
    limits = ImageLimits()
    parsed = ChatDialect().parse(RequestHead(), RawJson(body), ContentLimits())
    slot = parsed.images[0]
    encoded = bytes(slot.source).partition(b",")[2]
    data = decode_base64(base64_of(slot.source), limits.raw_bytes)
    ready = prepare(data, Detail("auto"), limits)
    url = encode_data_url(ready.data, ready.media_type)
    slot.replace(url)

    def step(name: str, work: Callable[[], object], floor: str, floor_work: Callable[[], object]) -> Step:
        watched = [watch(work) for _ in range(runs)]
        elapsed_ms, hold_ms = median(one.elapsed_ms for one in watched), median(one.longest_hold_ms for one in watched)
        return Step(request, name, elapsed_ms, hold_ms, floor, _median_ms(floor_work, runs))

    return [
        step(
            "read the body, find its image",
            lambda: ChatDialect().parse(RequestHead(), RawJson(body), ContentLimits()),
            "body scan (memchr)",
            lambda: body.find(b"\x00"),
        ),
        step(
            "decode the data URL",
            lambda: decode_base64(base64_of(slot.source), limits.raw_bytes),
            "base64",
            lambda: pybase64.b64decode(encoded, validate=True),
        ),
        *_image_steps(step("prepare the image", lambda: prepare(data, Detail("auto"), limits), "", int), data, runs),
        step(
            "encode the data URL",
            lambda: encode_data_url(ready.data, ready.media_type),
            "base64",
            lambda: pybase64.b64encode(ready.data),
        ),
        step("write the body for the upstream", parsed.to_upstream, "one copy", lambda: bytearray(url)),
    ]


def _image_steps(whole: Step, data: bytes, runs: int) -> list[Step]:
    """Return the step, and the three parts of its floor as lines of their own."""
    with Image.open(io.BytesIO(data)) as image:
        scale = _TARGET_SIDE_PX / max(image.size)
        target = (round(image.width * scale), round(image.height * scale))

    def scaled_decode() -> Image.Image:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", target)
        image.load()
        return image

    decoded = scaled_decode()
    resized = decoded.resize(target, Image.Resampling.HAMMING)
    floors: dict[str, Callable[[], object]] = {
        "libjpeg scaled decode": scaled_decode,
        "resize (HAMMING, the cheapest)": lambda: decoded.resize(target, Image.Resampling.HAMMING),
        "encode (JPEG)": lambda: resized.save(io.BytesIO(), "JPEG", quality=_QUALITY),
    }
    parts = [Step(whole.request, "", 0, 0, floor, _median_ms(work, runs)) for floor, work in floors.items()]
    return [Step(whole.request, whole.name, whole.elapsed_ms, whole.longest_hold_ms), *parts]


def _median_ms(work: Callable[[], object], runs: int) -> float:
    return median(watch(work).elapsed_ms for _ in range(runs))


@dataclass(frozen=True, slots=True)
class Watched:
    """How long a piece of work took, and the longest time in which no other thread got the interpreter."""

    elapsed_ms: float
    longest_hold_ms: float


def watch(work: Callable[[], object]) -> Watched:
    """Run ``work`` here while another thread naps and records its latest awakening.

    A hold is a C call that keeps the lock. Bytecode releases it after the switch interval, which is short here, so
    that only what cannot be interrupted is seen. Garbage of the work is freed within the time taken.
    """
    watching = threading.Event()
    over = threading.Event()
    longest_s = 0.0

    def nap() -> None:
        nonlocal longest_s
        then_s = time.perf_counter()
        watching.set()
        while not over.is_set():
            time.sleep(_NAP_S)
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - then_s - _NAP_S)
            then_s = now_s

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_NAP_S)
    watcher = threading.Thread(target=nap)
    watcher.start()
    watching.wait()
    longest_s = 0.0
    began_s = time.perf_counter()
    work()
    elapsed_s = time.perf_counter() - began_s
    over.set()
    watcher.join()
    sys.setswitchinterval(interval_s)
    return Watched(elapsed_s * 1e3, longest_s * 1e3)
