"""LangChain's standard tests over Responses."""

from typing import ClassVar

from langchain_base import KEY, MODEL, URL, GatewayTests
from langchain_openai import ChatOpenAI


class TestResponses(GatewayTests):
    """ChatOpenAI with ``use_responses_api``."""

    chat_model_class = ChatOpenAI
    chat_model_params: ClassVar = {
        "model": MODEL, "base_url": f"{URL}/v1", "api_key": KEY, "max_retries": 0, "use_responses_api": True,
    }  # fmt: skip
