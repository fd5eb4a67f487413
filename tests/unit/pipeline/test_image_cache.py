"""The cache of prepared images: what a key stands for, what is dropped first, and that a hit is not prepared again."""

import base64
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from obscura.access_record import ImageRecord
from obscura.errors import UnsupportedImageFormat
from obscura.execution import Caller, ImageExecutor
from obscura.imaging import Detail, ImageLimits
from obscura.pipeline.image_cache import ENTRY_BYTES, CachedImage, ImageCache, ImageKey
from obscura.pipeline.prepare import ImageToInspect, Preparation, PreparedImagePart
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.demo import DemoModel
from tests.unit.imaging.images import a_photograph

LIMITS = ImageLimits()
PHOTO = a_photograph(1500, 1000, "JPEG")
ENCODED = base64.b64encode(PHOTO)


def key(name: bytes) -> ImageKey:
    return ImageKey.of(name, Detail.AUTO, LIMITS)


MODEL = CatalogModel("m", DemoModel())


def an_image(size: int) -> CachedImage:
    return CachedImage(bytes(size), 1, 1, ImageRecord("PNG", 1, 1, "1x1", "1x1", 0))


@pytest.fixture
async def preparation() -> AsyncIterator[Preparation]:
    with closing(ImageExecutor()) as executor:
        yield Preparation(MODEL, LIMITS, executor, Caller("key:1"), ImageCache(10_000_000))


async def prepared(preparation: Preparation, source: memoryview | bytes, detail: str = "auto") -> PreparedImagePart:
    [inspected] = await preparation.inspect([ImageToInspect("path", detail, source)])
    return await preparation.prepare("path", detail, inspected)


@pytest.mark.parametrize("source", [memoryview(ENCODED), PHOTO], ids=["base64", "fetched"])
async def test_an_image_seen_before_is_not_prepared_again(preparation: Preparation, source: memoryview | bytes) -> None:
    first = await prepared(preparation, source)
    another_model = replace(preparation, model=replace(MODEL, token_profile="openai_tiles"))

    second = await prepared(preparation, source)
    third = await prepared(another_model, source)

    assert second == first
    assert second.data_url is first.data_url is third.data_url
    assert third.tokens != first.tokens
    assert (third.record.tokens, third.record.bytes_before) == (third.tokens, len(PHOTO))


async def test_another_detail_limit_or_carrier_is_prepared_by_itself(preparation: Preparation) -> None:
    stricter = replace(preparation, deployment_limits=ImageLimits(pixels=2_000_000))
    sources: list[tuple[Preparation, memoryview | bytes, str]] = [
        (preparation, memoryview(ENCODED), "auto"),
        (preparation, memoryview(ENCODED), "low"),
        (preparation, PHOTO, "auto"),
        (stricter, PHOTO, "auto"),
    ]

    parts = [await prepared(how, source, detail) for how, source, detail in sources]

    assert len({id(part.data_url) for part in parts}) == 4
    assert parts[1].record.pixels_after == "768x512"


async def test_bytes_that_spell_the_base64_of_an_image_are_no_image(preparation: Preparation) -> None:
    await prepared(preparation, memoryview(ENCODED))

    with pytest.raises(UnsupportedImageFormat):
        await prepared(preparation, ENCODED)


async def test_a_broken_image_is_rejected_every_time(preparation: Preparation) -> None:
    for _ in range(2):
        with pytest.raises(UnsupportedImageFormat):
            await prepared(preparation, memoryview(base64.b64encode(b"no image")))

    assert preparation.cache is not None
    assert preparation.cache.size_bytes == 0


def test_the_image_that_was_not_used_for_longest_is_dropped_first() -> None:
    cache = ImageCache(3 * (500 + ENTRY_BYTES))
    for name in (b"a", b"b", b"c"):
        cache.add(key(name), an_image(500))
    cache.get(key(b"a"))

    cache.add(key(b"d"), an_image(500))

    assert [cache.get(key(name)) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert cache.size_bytes == 3 * (500 + ENTRY_BYTES)


def test_an_image_larger_than_the_cache_drops_nothing() -> None:
    cache = ImageCache(5_000)
    cache.add(key(b"a"), an_image(1_000))

    cache.add(key(b"b"), an_image(4_001))

    assert cache.get(key(b"a")) is not None
    assert cache.get(key(b"b")) is None


def test_an_image_added_twice_counts_once() -> None:
    cache = ImageCache(10_000)
    for size in (1_000, 1_000, 2_000):
        cache.add(key(b"a"), an_image(size))

    assert cache.size_bytes == 2_000 + ENTRY_BYTES


def test_threads_that_share_it_never_exceed_its_size() -> None:
    cache = ImageCache(20_000)

    def use(number: int) -> None:
        for step in range(300):
            cache.add(key(b"%d" % (number * step % 40)), an_image(step * 7))
            cache.get(key(b"%d" % (step % 40)))
            assert cache.size_bytes <= 20_000 + 300 * 7 + ENTRY_BYTES

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))

    held = [image for number in range(300) if (image := cache.get(key(b"%d" % number)))]
    assert cache.size_bytes == sum(len(image.data_url) + ENTRY_BYTES for image in held) <= 20_000
