"""The official ``openai`` SDK against a running gateway: only the base URL and the key are changed."""

import base64
from typing import Any

import openai
import pytest

from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess


def question(name: str, **fields: Any) -> list:
    url = "data:image/jpeg;base64," + base64.b64encode(photograph(name).read_bytes()).decode()
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in this image?"},
                {"type": "image_url", "image_url": {"url": url, **fields}},
            ],
        }
    ]


def test_a_completion_describes_the_photograph(client: openai.OpenAI) -> None:
    response = client.chat.completions.create(model="obscura-demo", messages=question("retina.jpg"))

    assert "JPEG of 1280 x 1280 pixels" in str(response.choices[0].message.content)
    assert response.usage.prompt_tokens_details.image_tokens == 2116


def test_the_detail_decides_the_size(client: openai.OpenAI) -> None:
    response = client.chat.completions.create(model="obscura-demo", messages=question("retina.jpg", detail="low"))

    assert "768 x 768" in str(response.choices[0].message.content)
    assert response.usage.prompt_tokens_details.image_tokens == 729


def test_a_stream_gives_the_same_answer_piece_by_piece(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="obscura-demo",
        messages=question("rocket.jpg"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "640 x 427" in text
    assert chunks[-1].usage.prompt_tokens_details.image_tokens == 345


async def test_the_async_client_streams_too(gateway: ServingProcess) -> None:
    async with openai.AsyncOpenAI(base_url=gateway.v1, api_key=gateway.key) as client:
        stream = await client.chat.completions.create(
            model="obscura-demo", messages=question("rocket.jpg"), stream=True
        )
        text = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert len(text) > 10
    assert "640 x 427" in "".join(text)


def test_the_headers_carry_the_image_tokens_and_the_request_id(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="obscura-demo", messages=question("rocket.jpg"))

    assert raw.headers["x-image-tokens"] == "345"
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_a_wrong_key_raises_the_sdks_authentication_error(gateway: ServingProcess) -> None:
    client = openai.OpenAI(base_url=gateway.v1, api_key="obs_wrong", max_retries=0)

    with pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model="obscura-demo", messages=[{"role": "user", "content": "hi"}])

    assert raised.value.code == "invalid_api_key"


def test_a_broken_image_raises_the_sdks_bad_request_error_with_the_path(client: openai.OpenAI) -> None:
    messages = question("rocket.jpg")
    messages[0]["content"][1]["image_url"]["url"] = messages[0]["content"][1]["image_url"]["url"][:5001]

    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="obscura-demo", messages=messages)

    assert raised.value.code == "invalid_image"
    assert raised.value.param == "messages[0].content[1].image_url.url"


def test_a_blocked_text_names_the_category(client: openai.OpenAI) -> None:
    messages: list = [{"role": "user", "content": "please OBSCURA-BLOCK-ME now"}]

    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="obscura-demo", messages=messages)

    assert raised.value.code == "moderation_blocked"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["category"] == "demo/test"
    assert "demo/test" in raised.value.message
