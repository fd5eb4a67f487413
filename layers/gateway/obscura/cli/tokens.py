"""``obscura tokens``: what images become, and what they cost."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from obscura.cli.ask import DetailOption, read_image
from obscura.cli.errors import output, say_error, table
from obscura.imaging import Detail, ImageError, ImageLimits, TokenProfile, image_tokens, prepare
from obscura.settings import Settings

_PROFILES = {
    "qwen": TokenProfile.QWEN,
    "tiles": TokenProfile.OPENAI_TILES,
    "patches": TokenProfile.OPENAI_PATCHES,
    "anthropic": TokenProfile.ANTHROPIC,
}


def tokens(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="PNG, JPEG, WEBP or GIF files.")],
    detail: Annotated[DetailOption, typer.Option(help="How large the model sees them.")] = DetailOption.auto,
) -> None:
    """Show each image's format, its size before and after preparation, and its tokens by counting profile."""
    settings = Settings()
    limits = ImageLimits(raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels)
    rows = table("Photo", "Format", "Before", "KiB", "After", "KiB", *_PROFILES, folding=["Photo"])
    refused = False
    for photo in photos:
        try:
            rows.add_row(escape(photo.name), *_row(read_image(photo), Detail(detail.value), limits))
        except ImageError as refusal:
            refused = True
            say_error(f"{photo}: {refusal.message} ({refusal.code})")
    if rows.row_count:
        output.print(rows)
    if refused:
        raise typer.Exit(1)


def _row(data: bytes, detail: Detail, limits: ImageLimits) -> list[str]:
    prepared = prepare(data, detail, limits)
    width_px, height_px = prepared.width_px, prepared.height_px
    return [
        prepared.source_format,
        f"{prepared.source_width_px}x{prepared.source_height_px}",
        _kibibytes(prepared.source_bytes),
        "unchanged" if prepared.kept else f"{width_px}x{height_px}",
        _kibibytes(len(prepared.data)),
        *(str(image_tokens(width_px, height_px, profile, detail)) for profile in _PROFILES.values()),
    ]


def _kibibytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f}"
