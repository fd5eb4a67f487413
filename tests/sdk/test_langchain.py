"""LangChain's chat models, pointed at a running gateway."""

import base64
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess

MODEL = "obscura-demo"


@pytest.fixture
def question() -> HumanMessage:
    encoded = base64.b64encode(photograph("rocket.jpg").read_bytes()).decode()
    return HumanMessage(
        [
            {"type": "text", "text": "What is in this image?"},
            {"type": "image", "base64": encoded, "mime_type": "image/jpeg"},
        ]
    )


def chat_openai(gateway: ServingProcess, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=MODEL, base_url=gateway.v1, api_key=SecretStr(gateway.key), max_retries=0, **settings)


def chat_anthropic(gateway: ServingProcess) -> ChatAnthropic:
    settings: dict[str, Any] = {"model": MODEL, "max_tokens": 300}
    return ChatAnthropic(base_url=gateway.url, api_key=SecretStr(gateway.key), max_retries=0, **settings)


def test_chat_openai_sends_an_image_over_chat_completions(gateway: ServingProcess, question: HumanMessage) -> None:
    response = chat_openai(gateway).invoke([question])

    assert "640 x 427 pixels" in response.text


def test_chat_openai_sends_an_image_over_responses(gateway: ServingProcess, question: HumanMessage) -> None:
    response = chat_openai(gateway, use_responses_api=True).invoke([question])

    assert "640 x 427 pixels" in response.text


def test_chat_anthropic_sends_an_image_over_messages(gateway: ServingProcess, question: HumanMessage) -> None:
    response = chat_anthropic(gateway).invoke([question])

    assert "640 x 427 pixels" in response.text
    assert response.usage_metadata is not None
    assert response.usage_metadata["output_tokens"] > 0


def test_streams_arrive_in_pieces(gateway: ServingProcess, question: HumanMessage) -> None:
    for model in (chat_openai(gateway), chat_anthropic(gateway)):
        pieces = [piece.text for piece in model.stream([question])]

        assert len(pieces) > 10
        assert "640 x 427 pixels" in "".join(pieces)
