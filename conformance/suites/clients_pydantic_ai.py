"""pydantic-ai: an agent with a tool, an image and a schema, over all three dialects."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

URL, KEY = os.environ["GATEWAY_URL"], os.environ["GATEWAY_KEY"]
PNG = BinaryContent(Path(os.environ["SAMPLE_PNG"]).read_bytes(), media_type="image/png")


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture(params=["chat", "responses", "messages"])
def model(request: pytest.FixtureRequest) -> object:
    if request.param == "messages":
        return AnthropicModel("claude-m", provider=AnthropicProvider(base_url=URL, api_key=KEY))
    kind = OpenAIChatModel if request.param == "chat" else OpenAIResponsesModel
    return kind("m", provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))


def test_text(model: object) -> None:
    assert Agent(model).run_sync("Say: hello").output == "hello"


def test_image(model: object) -> None:
    assert Agent(model).run_sync(["Say: red", PNG]).output == "red"


def test_tool(model: object) -> None:
    called = []
    agent = Agent(model)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        called.append(city)
        return "sunny"

    assert agent.run_sync("What is the weather in Ulm?").output
    assert called == ["Ulm"]


def test_schema(model: object) -> None:
    assert isinstance(Agent(model, output_type=City).run_sync("Ulm has 128000 people").output, City)
