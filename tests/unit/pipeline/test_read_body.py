"""The body on its way in: its limit, its type, and that it is one piece however it comes."""

import pytest

from obscura.errors import InvalidJson, InvalidRequest, RequestTooLarge
from obscura.pipeline.read_body import OFF_LOOP_BYTES, read_body
from tests.support.slow_body import arriving

BODY = b'{"model":"m"}'


@pytest.mark.parametrize("length", [{}, {"content_length": str(len(BODY))}], ids=["chunked", "declared"])
@pytest.mark.parametrize("piece", [1, 5, len(BODY) - 1, len(BODY)])
async def test_a_body_is_the_same_however_it_arrives(length: dict, piece: int) -> None:
    request = arriving(*[BODY[start : start + piece] for start in range(0, len(BODY), piece)], **length)

    body = await read_body(request, 1000)

    assert body.render() == BODY
    assert request.record.body_bytes == len(BODY)


@pytest.mark.parametrize("length", [{}, {"content_length": str(len(BODY))}], ids=["chunked", "declared"])
async def test_a_body_at_the_limit_is_taken_and_one_byte_past_it_refused(length: dict) -> None:
    pieces = BODY[:6], BODY[6:]

    assert (await read_body(arriving(*pieces, **length), len(BODY))).render() == BODY

    with pytest.raises(RequestTooLarge, match="limit of 12 bytes"):
        await read_body(arriving(*pieces, **length), len(BODY) - 1)


async def test_a_declared_length_past_the_limit_is_refused_before_anything_is_read() -> None:
    request = arriving(BODY, content_length="1001")

    with pytest.raises(RequestTooLarge):
        await read_body(request, 1000)

    assert request.body.taken == 0


async def test_a_body_without_a_length_is_refused_as_soon_as_it_passes_the_limit() -> None:
    request = arriving(*[b"x" * 10] * 1000)

    with pytest.raises(RequestTooLarge):
        await read_body(request, 100)

    assert request.body.taken == 11


@pytest.mark.parametrize("declared", ["", "abc", "-1", "1e3", "٣", "9" * 40, "13, 13"])
async def test_a_length_that_is_no_number_decides_nothing(declared: str) -> None:
    body = await read_body(arriving(BODY[:3], BODY[3:], content_length=declared), 1000)

    assert body.render() == BODY


async def test_a_large_body_is_opened_just_the_same() -> None:
    large = b'{"model":"%b"}' % (b"m" * OFF_LOOP_BYTES)

    body = await read_body(arriving(large, content_length=str(len(large))), len(large))

    assert body.render() == large


@pytest.mark.parametrize("piece", [1 << 16, 1 << 20])
async def test_a_large_body_that_is_not_json_is_refused_just_the_same(piece: int) -> None:
    large = b'{"model":"%b' % (b"m" * OFF_LOOP_BYTES)
    pieces = [large[start : start + piece] for start in range(0, len(large), piece)]

    with pytest.raises(InvalidJson):
        await read_body(arriving(*pieces), len(large))


async def test_no_body_is_invalid_json() -> None:
    with pytest.raises(InvalidJson, match="empty"):
        await read_body(arriving(), 1000)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        " application/json ",
        "application/vnd.api+json",
    ],
)
async def test_json_by_any_of_its_names_is_taken(content_type: str) -> None:
    assert (await read_body(arriving(BODY, content_type=content_type), 1000)).render() == BODY


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "image/png",
        "application/jsonx",
    ],
)
async def test_another_type_is_refused_before_anything_is_read(content_type: str) -> None:
    request = arriving(BODY, content_type=content_type)

    with pytest.raises(InvalidRequest, match="application/json"):
        await read_body(request, 1000)

    assert request.body.taken == 0


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "aws-chunked"])
async def test_a_compressed_body_is_refused_before_anything_is_read(encoding: str) -> None:
    request = arriving(BODY, content_encoding=encoding)

    with pytest.raises(InvalidRequest, match="Content-Encoding"):
        await read_body(request, 1000)

    assert request.body.taken == 0


async def test_an_encoding_called_identity_is_none() -> None:
    assert (await read_body(arriving(BODY, content_encoding="Identity"), 1000)).render() == BODY
