"""The official SDKs with stored images: files, uploads in chunks, and their use by id."""

import random

import anthropic
import openai
import pytest
from PIL import Image

from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess
from tests.unit.imaging.images import png_chunk, saved

CHUNK_BYTES = 4 * 1024 * 1024
MEBIBYTE = 1024 * 1024


def an_image_of(size_bytes: int) -> bytes:
    """Return a PNG of incompressible noise, padded to exactly this size with a text chunk."""
    noise = Image.frombytes("RGB", (2240, 2240), random.Random(3).randbytes(2240 * 2240 * 3))  # noqa: S311
    image = saved(noise, "PNG", compress_level=0)
    end = image[-12:]
    padding = png_chunk(b"tEXt", b"Comment\0".ljust(size_bytes - len(image) - 12, b"x"))
    return image[:-12] + padding + end


def a_message(*content: object) -> list:
    return [{"role": "user", "content": list(content)}]


def test_a_file_is_created_listed_retrieved_read_and_deleted(client: openai.OpenAI) -> None:
    path = photograph("rocket.jpg")
    created = client.files.create(file=path, purpose="vision", expires_after={"anchor": "created_at", "seconds": 7200})

    assert (created.object, created.filename, created.bytes) == ("file", "rocket.jpg", path.stat().st_size)
    assert created.expires_at == created.created_at + 7200
    assert client.files.retrieve(created.id) == created
    assert created in list(client.files.list(limit=1))
    assert client.files.content(created.id).read() == path.read_bytes()
    assert client.files.wait_for_processing(created.id) == created
    assert client.files.delete(created.id).deleted is True
    with pytest.raises(openai.NotFoundError) as missing:
        client.files.retrieve(created.id)
    assert missing.value.code == "file_not_found"


def test_listing_goes_through_all_pages(client: openai.OpenAI) -> None:
    ids = [client.files.create(file=photograph("rocket.jpg"), purpose="user_data").id for _ in range(3)]

    listed = [file.id for file in client.files.list(limit=2, purpose="user_data", order="asc")]

    assert listed == ids


def test_an_image_of_15_mebibytes_comes_in_through_chunks_of_four(client: openai.OpenAI) -> None:
    image = an_image_of(15 * MEBIBYTE)
    upload = client.uploads.upload_file_chunked(
        file=image, filename="noise.png", bytes=len(image), mime_type="image/png", purpose="vision",
        part_size=CHUNK_BYTES,
    )  # fmt: skip

    assert upload.status == "completed"
    assert upload.file.bytes == len(image) == 15 * MEBIBYTE
    assert client.files.content(upload.file.id).read() == image


def test_an_upload_is_cancelled(client: openai.OpenAI) -> None:
    upload = client.uploads.create(bytes=9, filename="a.jpg", mime_type="image/jpeg", purpose="vision")
    part = client.uploads.parts.create(upload.id, data=b"123456789")

    assert part.upload_id == upload.id
    assert client.uploads.cancel(upload.id).status == "cancelled"


def test_chat_and_responses_see_a_stored_image(client: openai.OpenAI) -> None:
    file = client.files.create(file=photograph("retina.jpg"), purpose="vision")
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"file_id": file.id, "detail": "low"}},
    ]

    for _ in range(2):
        response = client.chat.completions.create(model="obscura-demo", messages=a_message(*content))
        assert "768 x 768" in str(response.choices[0].message.content)
        assert response.usage.prompt_tokens_details.image_tokens == 729
    answer = client.responses.create(
        model="obscura-demo",
        input=a_message({"type": "input_image", "file_id": file.id, "detail": "auto"}),
    )
    assert "1280 x 1280" in answer.output_text


def test_the_file_part_of_chat_needs_only_the_id(client: openai.OpenAI) -> None:
    file = client.files.create(file=photograph("rocket.jpg"), purpose="user_data")
    content = [{"type": "text", "text": "What is it?"}, {"type": "file", "file": {"file_id": file.id}}]

    response = client.chat.completions.create(model="obscura-demo", messages=a_message(*content))

    assert "640 x 427" in str(response.choices[0].message.content)


def test_messages_see_a_stored_image(gateway: ServingProcess, client: openai.OpenAI) -> None:
    file = client.files.create(file=photograph("rocket.jpg"), purpose="vision")
    source = {"type": "file", "file_id": file.id}

    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as claude:
        response = claude.messages.create(
            model="obscura-demo",
            max_tokens=100,
            messages=a_message({"type": "image", "source": source}),
        )

    assert "640 x 427" in response.content[0].text


def test_a_zero_retention_client_cannot_store_and_the_error_says_why(gateway: ServingProcess) -> None:
    headers = {"x-zero-retention": "true"}
    with openai.OpenAI(base_url=gateway.v1, api_key=gateway.key, max_retries=0, default_headers=headers) as zero:
        with pytest.raises(openai.BadRequestError) as raised:
            zero.files.create(file=photograph("rocket.jpg"), purpose="vision")

    assert raised.value.code == "retention_conflict"
    assert raised.value.response.headers["x-zero-retention"] == "true"


def test_a_file_that_is_no_image_is_rejected_with_its_field(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.files.create(file=("a.txt", b"no image"), purpose="user_data")

    assert (raised.value.code, raised.value.param) == ("unsupported_image_format", "file")
