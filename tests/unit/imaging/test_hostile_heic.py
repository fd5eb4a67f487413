"""HEIC files that lie about themselves are invalid before any decode, and damage never shows other memory."""

from collections.abc import Callable

import pytest

from obscura.imaging import ImageError, prepare
from obscura.imaging.decode import decode
from obscura.imaging.formats.heic import scan
from tests.unit.imaging.avif_files import IROT, Item, box, grid, ispe
from tests.unit.imaging.heic_files import (
    a_grid_of_quarters,
    a_heic,
    auxiliary,
    clap,
    coded,
    config_with,
    hevc_of,
    nal_units,
    parameter_sets_of,
    sequence_set,
    sequence_set_of,
    with_lengths,
)

STREAM, CONFIG, _ = hevc_of("quarters")


def error_of(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as error:
        prepare(data)
    return error.value


SLICE = nal_units(STREAM)[-1]
HOSTILE: dict[str, Callable[[], bytes]] = {
    "no primary item": lambda: a_heic(coded(1, "quarters"), primary=7),
    "no size": lambda: a_heic(Item(1, b"hvc1", STREAM, [box(b"hvcC", CONFIG)])),
    "no parameter sets": lambda: a_heic(Item(1, b"hvc1", STREAM, [ispe(128, 128)])),
    "parameter sets cut short": lambda: a_heic(coded(1, "quarters", config=CONFIG[:60])),
    "parameter sets of 65,535 arrays": lambda: a_heic(coded(1, "quarters", config=CONFIG[:22] + b"\xff" + bytes(50))),
    "only a PPS": lambda: a_heic(coded(1, "quarters", config=config_with(parameter_sets_of(CONFIG)[2]))),
    "two sizes": lambda: a_heic(
        coded(1, "quarters", config=config_with(*parameter_sets_of(CONFIG), sequence_set_of("red")))
    ),
    "a larger image than is shown": lambda: a_heic(
        coded(1, "quarters", config=config_with(*parameter_sets_of(CONFIG), sequence_set(8192, 8192)))
    ),
    "a larger image alone": lambda: a_heic(
        coded(1, "quarters", config=config_with(sequence_set(16_384, 16_384)))
    ),
    "a smaller image": lambda: a_heic(coded(1, "quarters", size=(192, 192))),
    "samples of 16 bits": lambda: a_heic(coded(1, "quarters", config=config_with(sequence_set(128, 128, depth=16)))),
    "a size of 31 zeros": lambda: a_heic(coded(1, "quarters", config=config_with(b"\x42\x01" + bytes(60)))),
    "two images": lambda: a_heic(coded(1, "quarters", stream=STREAM + with_lengths(SLICE))),
    "no image": lambda: a_heic(coded(1, "quarters", stream=b"")),
    "an image that refers to another": lambda: a_heic(
        coded(1, "quarters", stream=with_lengths(b"\x02" + SLICE[1:]))
    ),
    "a unit past the end": lambda: a_heic(coded(1, "quarters", stream=STREAM[:-1])),
    "the forbidden bit": lambda: a_heic(coded(1, "quarters", stream=with_lengths(b"\xa6" + SLICE[1:]))),
    "ten thousand units": lambda: a_heic(coded(1, "quarters", stream=with_lengths(b"\x4e\x01") * 10_000 + STREAM)),
    "a side of zero": lambda: a_heic(coded(1, "quarters", size=(0, 128))),
    "a grid without cells": lambda: a_heic(grid(1, 2, 2, (128, 128), [])),
    "a grid of a missing cell": lambda: a_heic(grid(1, 1, 2, (128, 64), [2, 9]), coded(2, "red")),
    "a grid of itself": lambda: a_heic(grid(1, 1, 1, (128, 128), [1])),
    "a grid in a grid": lambda: a_heic(
        grid(1, 1, 1, (64, 64), [2]), grid(2, 1, 1, (64, 64), [3]), coded(3, "red")
    ),
    "cells of two sizes": lambda: a_heic(
        grid(1, 1, 2, (128, 64), [2, 3]), coded(2, "red"), coded(3, "green", size=(60, 64))
    ),
    "a grid larger than its cells": lambda: a_grid_of_quarters(size=(129, 128)),
    "a grid smaller than its cells": lambda: a_grid_of_quarters(size=(64, 128)),
    "a turned cell": lambda: a_heic(grid(1, 1, 1, (64, 64), [2]), coded(2, "red", box(IROT, b"\1"))),
    "the same cell 256 times": lambda: a_heic(
        grid(1, 16, 16, (2048, 2048), [2] * 256), coded(2, "quarters")
    ),
    "alpha of another size": lambda: a_heic(coded(1, "quarters"), auxiliary(2, 1, "grey_cell")),
    "a cut after a turn": lambda: a_heic(coded(1, "quarters", box(IROT, b"\1"), clap(64, 64, 0, 0))),
    "a cut outside": lambda: a_heic(coded(1, "quarters", clap(64, 64, 100, 0))),
    "a cut by zero": lambda: a_heic(coded(1, "quarters", box(b"clap", bytes(32)))),
    "a short cut": lambda: a_heic(coded(1, "quarters", box(b"clap", bytes(8)))),
    "no meta box": lambda: box(b"ftyp", b"heic\0\0\0\0mif1heic"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_heic_is_invalid(name: str) -> None:
    assert error_of(HOSTILE[name]()).code == "invalid_image"


@pytest.mark.parametrize("left_bytes", [4, 10, len(SLICE) // 2])
def test_what_the_slices_lack_is_never_other_memory(left_bytes: int) -> None:
    data = a_heic(coded(1, "quarters", stream=with_lengths(SLICE[:left_bytes])))

    images = []
    for filler in (b"\x11", b"\xaa"):
        freed = [filler * size for size in range(1000, 60_000, 500)]
        del freed
        images.append(decode(data, scan(data)).tobytes())

    assert images[0] == images[1]
