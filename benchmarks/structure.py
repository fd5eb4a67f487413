"""How the code is cut, as a Markdown table: ``python -m benchmarks.structure``.

Words and files are counted in the source under ``layers/``. The files that a request passes through are those whose
functions run while the application serves it in this process, with the demo upstream and stores in a temporary folder.
``--root CHECKOUT`` counts the source of another checkout, without the requests.
"""

import argparse
import ast
import asyncio
import io
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import CO_OPTIMIZED
from pathlib import Path
from statistics import median
from types import CodeType
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from PIL import Image

from benchmarks.admission import admit, open_database
from obscura.api.app import create_app
from obscura.auth.api_keys import create_key
from obscura.dialects.data_url import encode_data_url
from obscura.settings import PREFIX, Settings
from obscura.stores.open import open_stores
from obscura.upstreams.demo import MODEL
from tests.vocabulary import findings

REPOSITORY = Path(__file__).parents[1]
MAX_LINES = 320
_GIVE = "Give"
_TOOL = sys.monitoring.PROFILER_ID


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    value: str
    aim: str
    files: tuple[str, ...] = ()


def main() -> None:
    """Print the table, and the files of its lines if ``--files`` is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, metavar="CHECKOUT", help="count the source of another checkout")
    parser.add_argument("--files", action="store_true", help="list the files of each line below the table")
    options = parser.parse_args()
    rows = source_rows(options.root or REPOSITORY)
    if options.root is None:
        rows += asyncio.run(request_rows())
    print("| | now | aim |\n|---|---|---|")
    for row in rows:
        print(f"| {row.name} | {row.value} | {row.aim} |")
    for row in rows if options.files else ():
        if row.files:
            print(f"\n{row.name}:\n" + "\n".join(f"- {file}" for file in row.files))


def source_rows(root: Path) -> list[Row]:
    """Count words, files, lines and importers under ``layers/``."""
    sources = {path: path.read_text() for path in sorted((root / "layers").rglob("*.py"))}
    words = {path: list(findings(text)) for path, text in sources.items()}
    metaphors = sum(word != _GIVE for found in words.values() for _, word, _ in found)
    gives = sum(word == _GIVE for found in words.values() for _, word, _ in found)
    lines = {path: len(text.splitlines()) for path, text in sources.items()}
    long = [str(path.relative_to(root)) for path, count in lines.items() if count > MAX_LINES]
    single = modules_with_one_importer(root)
    modules_lines = [count for path, count in lines.items() if path.name != "__init__.py"]
    return [
        Row("words that tests/vocabulary.py bans", f"{metaphors}", "0"),
        Row('docstrings that begin with "Give"', f"{gives}", "0"),
        Row(
            "Python files · median lines (without `__init__.py`)",
            f"{len(sources)} · {median(lines.values()):.0f} ({median(modules_lines):.0f})",
            "≤ 150 · 100 to 130",
        ),
        Row(f"files over {MAX_LINES} lines", f"{len(long)}", "0", tuple(long)),
        Row("modules with exactly one importer", f"{len(single)}", "≤ 30", tuple(single)),
    ]


def modules_with_one_importer(root: Path) -> list[str]:
    """Return the modules under ``layers/`` that exactly one other module of ``layers/`` or ``functions/`` imports.

    A name that a package's ``__init__`` re-exports counts as imported from the module that defines it, by the module
    that uses it. A module that a registry lists (a package's ``__init__`` that uses what it imports from its own
    modules, or a string with a module's name) is imported by all that the registry serves, and does not count; nor do
    packages and ``__main__``.
    """
    files: dict[str, Path] = {}
    for layer in sorted((root / "layers").glob("*/obscura")):
        files |= {_module_name(path, layer.parent): path for path in sorted(layer.rglob("*.py"))}
    trees = {name: ast.parse(path.read_text()) for name, path in files.items()}
    packages = {name for name, path in files.items() if path.name == "__init__.py"}
    origins = _re_exports(trees, packages)
    importers: defaultdict[str, set[str]] = defaultdict(set)
    registered: set[str] = set()
    functions = {str(path): ast.parse(path.read_text()) for path in (root / "functions").rglob("*.py")}
    for importer, tree in (trees | functions).items():
        registered |= _named_in_strings(tree, files)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for module, name in _imports(tree, files):
            target = origins.get(module, module)
            if target not in files or target == importer:
                continue
            if importer not in packages or not target.startswith(f"{importer}."):
                importers[target].add(importer)
            elif name in used:
                registered.add(target)
    return [
        f"{module} ← {next(iter(importers[module]))}"
        for module in files
        if len(importers[module]) == 1 and module not in registered | packages and not module.endswith("__main__")
    ]


def _module_name(path: Path, above: Path) -> str:
    parts = path.relative_to(above).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, files: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield the modules that a module imports, ``package.name`` for a name taken from a package, each with its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_module = node.module in files and files[node.module].name != "__init__.py"
            for alias in node.names:
                yield node.module if is_module else f"{node.module}.{alias.name}", alias.asname or alias.name


def _re_exports(trees: dict[str, ast.Module], packages: set[str]) -> dict[str, str]:
    """Map ``package.name`` to the module that defines the name."""
    return {
        f"{package}.{alias.asname or alias.name}": node.module
        for package in packages
        for node in trees[package].body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if f"{node.module}.{alias.name}" not in trees
    }


def _named_in_strings(tree: ast.Module, files: dict[str, Path]) -> set[str]:
    """Return the modules named in strings: ``a.b``, ``a.b:name``, or ``f"a.{name}"`` with the names as strings."""
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    named = {string.partition(":")[0] for string in strings}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1 and isinstance(node.values[0], ast.Constant):
            named |= {str(node.values[0].value) + string for string in strings}
    return named & files.keys()


async def request_rows() -> list[Row]:
    """Run one chat with an image and one admission of a key; read the success schemas of ``/openapi.json``."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(data_dir=Path(scratch), log_level="ERROR")
        async with open_stores(settings) as stores:
            _, key = await create_key(stores.keys, "structure")
        app = create_app(settings)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://obscura")
        async with app.router.lifespan_context(app), client:
            chat_files = await _files_of_chat(client, key)
            empty, schemas = _empty_schemas((await client.get("/openapi.json")).json())
        admission_files = await _files_of_admission(settings)
    admitting = [file for file in admission_files if "/auth/" in file]
    return [
        Row("files that one chat with an image passes through", f"{len(chat_files)}", "≤ 32", chat_files),
        Row(
            "files that admit a key: of auth/ · all with stores",
            f"{len(admitting)} · {len(admission_files)}",
            "≤ 4",
            admission_files,
        ),
        Row("empty success schemas in /openapi.json", f"{len(empty)} of {schemas}", "0", tuple(empty)),
    ]


async def _files_of_chat(client: httpx.AsyncClient, key: str) -> tuple[str, ...]:
    image = io.BytesIO()
    Image.linear_gradient("L").resize((1600, 1200)).convert("RGB").save(image, "JPEG")
    url = encode_data_url(image.getvalue(), "image/jpeg").decode()
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
    headers = {"authorization": f"Bearer {key}"}
    # The first request imports and connects; the second is what every further request is.
    (await client.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status()
    with files_run() as files:
        (await client.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status()
    return relative_files(files)


async def _files_of_admission(settings: Settings) -> tuple[str, ...]:
    """Return the files of the first admission of a key, which no cache holds yet."""
    signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    async with open_database(settings, signing_key) as (access_control, key):
        headers = {"authorization": f"Bearer {key}"}
        with files_run() as files:
            await admit(headers, "203.0.113.7", access_control)
    return relative_files(files)


@contextmanager
def files_run() -> Iterator[set[str]]:
    """Collect the files under ``layers/`` whose functions begin to run, in any thread."""
    files: set[str] = set()

    def began(code: CodeType, _offset: int) -> object:
        if code.co_flags & CO_OPTIMIZED:  # a function: bodies of modules and classes run at imports
            files.add(code.co_filename)
        return sys.monitoring.DISABLE

    monitoring = sys.monitoring
    monitoring.use_tool_id(_TOOL, "structure")
    monitoring.register_callback(_TOOL, monitoring.events.PY_START, began)
    monitoring.restart_events()
    monitoring.set_events(_TOOL, monitoring.events.PY_START)
    try:
        yield files
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)


def relative_files(files: set[str]) -> tuple[str, ...]:
    """Return the files below ``layers/``, relative to it, sorted."""
    layers = REPOSITORY / "layers"
    return tuple(sorted(str(Path(file).relative_to(layers)) for file in files if Path(file).is_relative_to(layers)))


def _empty_schemas(document: dict[str, Any]) -> tuple[Sequence[str], int]:
    """Return the operations with a success response whose schema is empty, and the number of success schemas."""
    empty, count = [], 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    if status.startswith("2"):
                        count += 1
                        if not content.get("schema"):
                            empty.append(f"{method.upper()} {path} {status} {media_type}")
    return empty, count


if __name__ == "__main__":
    main()
