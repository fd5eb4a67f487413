"""What a refused request makes the gateway decode: nothing that its headers could have shown before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from obscura.access_record import AccessRecord
from obscura.auth.access import Principal
from obscura.bootstrap import open_services
from obscura.errors import ObscuraError, TooManyImages
from obscura.execution import Caller, ImageExecutor
from obscura.imaging import Detail, ImageLimits, inspect
from obscura.pipeline.check_content import CheckedContent, ContentCheck
from obscura.pipeline.services import MAX_FETCHED_URLS, MAX_REQUEST_PIXELS, RequestLimits, Services
from obscura.settings import Settings
from obscura.upstreams.base import CatalogModel
from obscura.upstreams.demo import DemoModel
from tests.security.work.headers import a_webp_header
from tests.support.chat_bodies import parse
from tests.support.gateway import chat_request, image_part, text
from tests.support.image_urls import data_url
from tests.support.pdfs import a_pdf
from tests.unit.imaging.images import a_photograph, a_plain, jpeg_data_span, png_header, saved

LARGE = image_part(data_url(a_webp_header(5000, 5000)))
SMALL = image_part(data_url(a_plain(40, 30, "PNG")))
PATH = "messages[0].content[{}].image_url.url"


class CountingExecutor(ImageExecutor):
    """Counts the decodes that are asked for, and those that begin."""

    def __init__(self, workers: int = 2) -> None:
        super().__init__(workers)
        self.asked = self.begun = 0

    def run[Result](self, work: Callable[[], Result], caller: Caller) -> Coroutine[Any, Any, Result]:
        self.asked += 1

        def counted() -> Result:
            self.begun += 1
            return work()

        return super().run(counted, caller)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(Settings(data_dir=tmp_path, image_cache_mb=8)) as opened:
        with closing(CountingExecutor()) as executor:
            yield replace(opened, executor=executor)


async def checked(services: Services, *parts: dict, **flags: Any) -> CheckedContent:
    principal = Principal("p", zero_retention=False, anonymous=flags.pop("anonymous", False), subject="key:1")
    model = CatalogModel("m", DemoModel())
    check = ContentCheck.of(AccessRecord("r"), principal, model, services, **{"moderated": True} | flags)
    return await check.run(parse(chat_request(*parts)))


def decodes(services: Services) -> int:
    assert isinstance(services.executor, CountingExecutor)
    return services.executor.begun


CUT_JPEG = a_photograph(600, 400, "JPEG")[:900]
BROKEN = {
    "no image": (b"nothing that is an image", "unsupported_image_format"),
    "cut short": (a_webp_header(90, 90)[:-3], "invalid_image"),
    "a cut JPEG": (CUT_JPEG, "invalid_image"),
    "too many pixels": (a_webp_header(5001, 5001), "image_too_many_pixels"),
    "a strip": (a_webp_header(4020, 20), "unsupported_image_dimensions"),
    "empty": (b"", "invalid_image"),
}


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("broken", BROKEN)
async def test_one_broken_image_of_six_costs_no_decode(services: Services, broken: str, *, anonymous: bool) -> None:
    content, code = BROKEN[broken]

    with pytest.raises(ObscuraError) as refused:
        await checked(services, *[SMALL] * 5, image_part(data_url(content)), anonymous=anonymous)

    assert (refused.value.status, refused.value.code, refused.value.param) == (400, code, PATH.format(5))
    assert decodes(services) == 0


async def test_fifteen_images_of_25_megapixels_are_refused_by_their_headers(services: Services) -> None:
    with pytest.raises(ObscuraError, match=r"375,000,000 pixels to decode; 128,000,000 are allowed") as refused:
        await checked(services, *[LARGE] * 15)

    assert (refused.value.status, refused.value.code) == (400, "too_many_pixels")
    assert refused.value.param == PATH.format(5)
    assert decodes(services) == 0


async def test_the_limit_itself_is_not_refused(services: Services) -> None:
    limited = replace(services, limits=RequestLimits(pixels=2 * 40 * 30), image_cache=None)

    assert len((await checked(limited, SMALL, SMALL)).images) == 2
    with pytest.raises(ObscuraError) as refused:
        await checked(limited, image_part(data_url(a_plain(30, 41, "PNG"))), SMALL)
    assert refused.value.param == PATH.format(1)


async def test_cached_images_count_no_pixels(services: Services) -> None:
    await checked(services, SMALL)
    limited = replace(services, limits=RequestLimits(pixels=40 * 30 - 1))

    assert len((await checked(limited, SMALL, SMALL)).images) == 2


@pytest.mark.parametrize("progressive", [False, True])
def test_sixteen_photographs_of_a_phone_pass(progressive: bool) -> None:
    photograph = saved(Image.new("RGB", (4032, 3024)), "JPEG", progressive=progressive)

    header = inspect(photograph, Detail.AUTO, ImageLimits())

    assert 16 * header.decode_pixels <= MAX_REQUEST_PIXELS
    assert MAX_REQUEST_PIXELS >= 10 * 4032 * 3024  # ten HEICs, which are decoded whole


async def test_after_a_refusal_queued_decodes_never_run(services: Services) -> None:
    """Damage that only a decode sees: it ends the images that wait behind it."""
    jpeg = a_photograph(1500, 1000, "JPEG")
    start, end = jpeg_data_span(jpeg)
    damaged = jpeg[: (start + end) // 2] + bytes(end - (start + end) // 2) + jpeg[end:]
    with closing(CountingExecutor(workers=1)) as executor:
        single = replace(services, executor=executor)

        with pytest.raises(ObscuraError) as refused:
            await checked(single, image_part(data_url(damaged)), *[SMALL] * 15)
        await executor.run(int, Caller("key:1"))

        assert (refused.value.code, refused.value.param) == ("invalid_image", PATH.format(0))
        assert executor.asked == 17
        assert executor.begun == 2  # the damaged one, and this test's own


async def test_no_document_is_rendered_beside_a_broken_image(services: Services) -> None:
    pdf = {"type": "file", "file": {"file_data": data_url(a_pdf(["x"] * 3), "application/pdf")}}

    with pytest.raises(ObscuraError) as refused:
        await checked(services, text("hi"), pdf, image_part(data_url(png_header(40, 30))))

    assert refused.value.code == "invalid_image"
    assert decodes(services) == 0


async def test_documents_count_as_a_page_each_before_any_is_loaded(services: Services) -> None:
    pdf = {"type": "file", "file": {"file_data": data_url(b"no PDF at all", "application/pdf")}}
    messages = [{"role": "user", "content": [pdf] * 15}] * 7

    with pytest.raises(TooManyImages, match="105 images"):
        await ContentCheck.of(
            AccessRecord("r"), Principal("p", False), CatalogModel("m", DemoModel()), services, moderated=False
        ).run(parse({"model": "m", "messages": messages}))


async def test_a_request_names_a_hundred_urls_at_most(services: Services) -> None:
    video = {"type": "video_url", "video_url": {"url": "https://host.invalid/a.mp4"}}
    messages = [{"role": "user", "content": [video]}] * (MAX_FETCHED_URLS + 1)

    with pytest.raises(TooManyImages, match=f"{MAX_FETCHED_URLS + 1} images, documents and videos") as refused:
        async with asyncio.timeout(5):
            await ContentCheck.of(
                AccessRecord("r"), Principal("p", False), CatalogModel("m", DemoModel()), services, moderated=False
            ).run(parse({"model": "m", "messages": messages}))

    assert refused.value.param == f"messages[{MAX_FETCHED_URLS}].content[0].video_url.url"


async def test_counting_decodes_nothing(services: Services) -> None:
    content = await checked(services, *[LARGE] * 5, moderated=False, decoded=False)

    assert [image.tokens for image in content.images] == [2116] * 5
    assert decodes(services) == 0
