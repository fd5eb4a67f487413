"""openai-agents: an agent with a tool, over both of OpenAI's dialects."""

import base64
import os
from pathlib import Path

import pytest
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)
PNG = base64.b64encode(Path(os.environ["SAMPLE_PNG"]).read_bytes()).decode()


@function_tool
def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"It is sunny in {city}."


@pytest.fixture(params=[OpenAIChatCompletionsModel, OpenAIResponsesModel])
def agent(request: pytest.FixtureRequest) -> Agent:
    client = AsyncOpenAI(base_url=f"{os.environ['GATEWAY_URL']}/v1", api_key=os.environ["GATEWAY_KEY"], max_retries=0)
    return Agent(name="a", instructions="Be brief.", tools=[get_weather], model=request.param("m", client))


def test_text(agent: Agent) -> None:
    assert Runner.run_sync(agent, "Say: hello").final_output == "hello"


def test_tool(agent: Agent) -> None:
    result = Runner.run_sync(agent, "What is the weather in Ulm?")

    assert "function_call_output" in [item["type"] for item in result.to_input_list() if "type" in item]


def test_image(agent: Agent) -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    content = [{"type": "input_text", "text": "Say: red"}, image]

    assert Runner.run_sync(agent, [{"role": "user", "content": content}]).final_output == "red"
