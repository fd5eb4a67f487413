"""``obscura tokens``: what pictures become, and what they cost."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from obscura.cli.ask import DetailOption
from obscura.cli.photo import read_photo
from obscura.cli.terminal import output, say_error
from obscura.config import Settings
from obscura.imaging import Detail, ImageLimits, ImageRefused, TokenProfile, image_tokens, prepare


def tokens(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="PNG, JPEG, WEBP or GIF files.")],
    detail: Annotated[DetailOption, typer.Option(help="How large the model sees them.")] = DetailOption.auto,
) -> None:
    """Show each picture's format, its size before and after preparation, and its tokens by counting profile."""
    settings = Settings()
    limits = ImageLimits(raw_bytes=settings.max_image_bytes, pixels=settings.max_pixels)
    table = Table("Photo", "Format", "Before", "After", *(f"{profile} tokens" for profile in TokenProfile))
    refused = False
    for photo in photos:
        try:
            table.add_row(escape(photo.name), *_row(read_photo(photo), Detail(detail.value), limits))
        except ImageRefused as refusal:
            refused = True
            say_error(f"{photo}: {refusal.message} ({refusal.code})")
    if table.row_count:
        output.print(table)
    if refused:
        raise typer.Exit(1)


def _row(data: bytes, detail: Detail, limits: ImageLimits) -> list[str]:
    prepared = prepare(data, detail, limits)
    width_px, height_px = prepared.width_px, prepared.height_px
    return [
        prepared.source_format,
        _size(prepared.source_width_px, prepared.source_height_px, prepared.source_bytes),
        "unchanged" if prepared.kept else _size(width_px, height_px, len(prepared.data)),
        *(str(image_tokens(width_px, height_px, profile, detail)) for profile in TokenProfile),
    ]


def _size(width_px: int, height_px: int, size_bytes: int) -> str:
    return f"{width_px} x {height_px}, {size_bytes / 1024:,.0f} KiB"
