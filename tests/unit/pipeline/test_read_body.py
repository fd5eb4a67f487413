"""Reading a body: its size limit, its content type, and the chunks that it arrives in."""

import pytest

from obscura.errors import InvalidJson, InvalidRequest, RequestTooLarge
from obscura.pipeline.read_body import OFF_LOOP_BYTES, read_body
from tests.support.slow_body import arriving, pieces_read

BODY = b'{"model":"m"}'


@pytest.mark.parametrize("length", [{}, {"content_length": str(len(BODY))}], ids=["chunked", "declared"])
@pytest.mark.parametrize("chunk_bytes", [1, 5, len(BODY) - 1, len(BODY)])
async def test_a_body_is_the_same_however_it_arrives(length: dict, chunk_bytes: int) -> None:
    request = arriving(*[BODY[start : start + chunk_bytes] for start in range(0, len(BODY), chunk_bytes)], **length)

    body = await read_body(request, 1000)

    assert body.render() == BODY
    assert request.record.body_bytes == len(BODY)


@pytest.mark.parametrize("length", [{}, {"content_length": str(len(BODY))}], ids=["chunked", "declared"])
async def test_empty_chunks_are_no_end_of_a_body(length: dict) -> None:
    request = arriving(b"", BODY[:5], b"", BODY[5:], b"", **length)  # Starlette's stream ends in one

    assert (await read_body(request, 1000)).render() == BODY


@pytest.mark.parametrize("length", [{}, {"content_length": str(len(BODY))}], ids=["chunked", "declared"])
async def test_a_body_at_the_limit_is_accepted_and_one_byte_more_rejected(length: dict) -> None:
    chunks = BODY[:6], BODY[6:]

    assert (await read_body(arriving(*chunks, **length), len(BODY))).render() == BODY

    with pytest.raises(RequestTooLarge, match="limit of 12 bytes"):
        await read_body(arriving(*chunks, **length), len(BODY) - 1)


async def test_a_declared_length_over_the_limit_is_rejected_unread() -> None:
    request = arriving(BODY, content_length="1001")

    with pytest.raises(RequestTooLarge):
        await read_body(request, 1000)

    assert pieces_read(request) == 0


async def test_a_body_without_a_length_is_rejected_at_the_limit() -> None:
    request = arriving(*[b"x" * 10] * 1000)

    with pytest.raises(RequestTooLarge):
        await read_body(request, 100)

    assert pieces_read(request) == 11


@pytest.mark.parametrize("declared", ["", "abc", "-1", "1e3", "٣", "9" * 40, "13, 13"])
async def test_a_malformed_length_is_ignored(declared: str) -> None:
    body = await read_body(arriving(BODY[:3], BODY[3:], content_length=declared), 1000)

    assert body.render() == BODY


async def test_a_large_body_is_parsed_alike() -> None:
    large = b'{"model":"%b"}' % (b"m" * OFF_LOOP_BYTES)

    body = await read_body(arriving(large, content_length=str(len(large))), len(large))

    assert body.render() == large


@pytest.mark.parametrize("chunk_bytes", [1 << 16, 1 << 20])
async def test_a_large_body_that_is_not_json_is_rejected(chunk_bytes: int) -> None:
    large = b'{"model":"%b' % (b"m" * OFF_LOOP_BYTES)
    chunks = [large[start : start + chunk_bytes] for start in range(0, len(large), chunk_bytes)]

    with pytest.raises(InvalidJson):
        await read_body(arriving(*chunks), len(large))


async def test_an_empty_body_is_invalid_json() -> None:
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
async def test_every_content_type_of_json_is_accepted(content_type: str) -> None:
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
async def test_another_content_type_is_rejected_unread(content_type: str) -> None:
    request = arriving(BODY, content_type=content_type)

    with pytest.raises(InvalidRequest, match="application/json"):
        await read_body(request, 1000)

    assert pieces_read(request) == 0


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "aws-chunked"])
async def test_a_compressed_body_is_rejected_unread(encoding: str) -> None:
    request = arriving(BODY, content_encoding=encoding)

    with pytest.raises(InvalidRequest, match="Content-Encoding"):
        await read_body(request, 1000)

    assert pieces_read(request) == 0


async def test_the_encoding_identity_is_accepted() -> None:
    assert (await read_body(arriving(BODY, content_encoding="Identity"), 1000)).render() == BODY
