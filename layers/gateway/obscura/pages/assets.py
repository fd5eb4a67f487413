"""Static files of a page: read once, each with its media type, all under one version."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}

_HEADERS = {
    # CSP 3: no inline script, no style but the document's own, nothing from another origin; blob: and data: are the
    # caller's own images.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src {style}; connect-src 'self'; worker-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types obscura"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_STYLE_SHEET = re.compile(rb'<link rel="stylesheet" href="[^"]*/([a-z_]+\.css)">')


@dataclass(frozen=True, slots=True)
class Asset:
    """One file and its media type."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class PageAssets:
    """The document of a page, and the files that it loads from ``<page>/<version>/<name>``.

    ``version`` is a digest of all files: a path never changes its content, and relative imports keep the version.
    ``headers`` go with the document and with each file.
    """

    document: Asset
    files: Mapping[str, Asset]
    version: str
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """The entity tag of the document (RFC 9110 §8.8.3)."""
        return f'"{self.version}"'


def read_assets(folder: Path, document: str = "index.html") -> PageAssets:
    """Read the files of a folder; ``{version}`` in its document becomes their version.

    The style sheet that it links stands in the document itself: a page is not painted before it has come.
    """
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)} ".encode() + data)
    version = digest.hexdigest()[:16]
    [style] = _STYLE_SHEET.findall(files[document])
    sheet = files.pop(style.decode())
    page = _STYLE_SHEET.sub(lambda _: b"<style>%b</style>" % sheet, files.pop(document))
    page = page.replace(b"{version}", version.encode())
    assets = {name: Asset(data, MEDIA_TYPES[Path(name).suffix]) for name, data in files.items()}
    sheet_hash = f"'sha256-{base64.b64encode(hashlib.sha256(sheet).digest()).decode()}'"
    headers = {name: value.replace("{style}", sheet_hash) for name, value in _HEADERS.items()}
    return PageAssets(Asset(page, MEDIA_TYPES[Path(document).suffix]), assets, version, headers)
