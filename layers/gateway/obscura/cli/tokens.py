"""``obscura tokens``: what preparation makes of images, and how many tokens they cost."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from obscura.cli.console import output, print_error, table
from obscura.cli.image_file import DetailOption, read_image
from obscura.imaging import SUPPORTED_FORMATS, Detail, ImageError, ImageLimits, TokenProfile, image_tokens, prepare
from obscura.settings import Settings

_PROFILES = {
    "qwen": TokenProfile.QWEN,
    "tiles": TokenProfile.OPENAI_TILES,
    "patches": TokenProfile.OPENAI_PATCHES,
    "anthropic": TokenProfile.ANTHROPIC,
}


def tokens(
    paths: Annotated[list[Path], typer.Argument(metavar="PHOTO", help=f"Files: {SUPPORTED_FORMATS}.")],
    detail: Annotated[DetailOption, typer.Option(help="How large the model sees them.")] = DetailOption.auto,
) -> None:
    """Show each image's format, its size before and after preparation, and its tokens by counting profile."""
    settings = Settings()
    limits = ImageLimits(
        raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels, flatten_onto=settings.flatten_onto
    )
    rows = table("Image", "Format", "Before", "KiB", "After", "KiB", *_PROFILES, folding=["Image"])
    failed = False
    for path in paths:
        try:
            rows.add_row(escape(path.name), *_row(read_image(path), Detail(detail.value), limits))
        except ImageError as error:
            failed = True
            print_error(f"{path}: {error.message} ({error.code})")
    if rows.row_count:
        output.print(rows)
    if failed:
        raise typer.Exit(1)


def _row(data: bytes, detail: Detail, limits: ImageLimits) -> list[str]:
    prepared = prepare(data, detail, limits)
    width_px, height_px = prepared.width_px, prepared.height_px
    return [
        prepared.source_format,
        f"{prepared.source_width_px}x{prepared.source_height_px}",
        _kibibytes(prepared.source_bytes),
        "unchanged" if prepared.unchanged else f"{width_px}x{height_px}",
        _kibibytes(len(prepared.data)),
        *(str(image_tokens(width_px, height_px, profile, detail)) for profile in _PROFILES.values()),
    ]


def _kibibytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f}"
