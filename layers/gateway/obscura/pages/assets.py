"""Static files of a page: read once, each with its media type, all under one version."""

import hashlib
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

PAGE_HEADERS = {
    # CSP 3: no inline script or style, nothing from another origin; blob: and data: are the caller's own images.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types obscura"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file and its media type."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class PageAssets:
    """The document of a page, and the files that it loads from ``<page>/<version>/<name>``.

    ``version`` is a digest of all files: a path never changes its content, and relative imports keep the version.
    """

    document: Asset
    files: Mapping[str, Asset]
    version: str

    @property
    def etag(self) -> str:
        """The entity tag of the document (RFC 9110 §8.8.3)."""
        return f'"{self.version}"'


def read_assets(folder: Path, document: str = "index.html") -> PageAssets:
    """Read the files of a folder; ``{version}`` in its document becomes their version."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)} ".encode() + data)
    version = digest.hexdigest()[:16]
    assets = {name: Asset(data, MEDIA_TYPES[Path(name).suffix]) for name, data in files.items()}
    shown = assets.pop(document)
    return PageAssets(Asset(shown.data.replace(b"{version}", version.encode()), shown.media_type), assets, version)
