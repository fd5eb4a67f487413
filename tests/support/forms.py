"""multipart/form-data as tests send it: well formed through httpx, or byte by byte."""

from pathlib import Path

BOUNDARY = "b0undary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, *, filename: str | None = None, header: str = "") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n{header}\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def kept_in(data_dir: Path) -> list[str]:
    """The names of all bytes of files that are kept below a data folder."""
    folder = data_dir / "files"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
