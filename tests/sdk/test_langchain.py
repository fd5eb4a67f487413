"""LangChain's chat models, pointed at a served gateway."""

import base64

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from tests.support.photographs import photograph
from tests.support.serving_process import environment, serving

MODEL = "obscura-demo"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with serving(environment(tmp_path_factory.mktemp("data"))) as served:
        yield served


@pytest.fixture
def question() -> HumanMessage:
    encoded = base64.b64encode(photograph("rocket.jpg").read_bytes()).decode()
    return HumanMessage(
        [
            {"type": "text", "text": "What is in this image?"},
            {"type": "image", "base64": encoded, "mime_type": "image/jpeg"},
        ]
    )


def test_chat_openai_sends_an_image_over_chat_completions(gateway, question):
    model = ChatOpenAI(model=MODEL, base_url=gateway.v1, api_key=gateway.key, max_retries=0)

    response = model.invoke([question])

    assert "640 x 427 pixels" in response.text


def test_chat_openai_sends_an_image_over_responses(gateway, question):
    model = ChatOpenAI(model=MODEL, base_url=gateway.v1, api_key=gateway.key, use_responses_api=True, max_retries=0)

    response = model.invoke([question])

    assert "640 x 427 pixels" in response.text


def test_chat_anthropic_sends_an_image_over_messages(gateway, question):
    model = ChatAnthropic(model=MODEL, base_url=gateway.url, api_key=gateway.key, max_tokens=300, max_retries=0)

    response = model.invoke([question])

    assert "640 x 427 pixels" in response.text
    assert response.usage_metadata["output_tokens"] > 0


def test_streams_arrive_in_pieces(gateway, question):
    openai = ChatOpenAI(model=MODEL, base_url=gateway.v1, api_key=gateway.key, max_retries=0)
    anthropic = ChatAnthropic(model=MODEL, base_url=gateway.url, api_key=gateway.key, max_tokens=300, max_retries=0)

    for model in (openai, anthropic):
        pieces = [piece.text for piece in model.stream([question])]

        assert len(pieces) > 10
        assert "640 x 427 pixels" in "".join(pieces)
