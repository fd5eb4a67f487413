"""LangChain's standard tests over chat completions."""

from typing import ClassVar

from langchain_base import KEY, MODEL, URL, GatewayTests
from langchain_openai import ChatOpenAI


class TestChat(GatewayTests):
    """ChatOpenAI with its defaults."""

    chat_model_class = ChatOpenAI
    chat_model_params: ClassVar = {
        "model": MODEL,
        "base_url": f"{URL}/v1",
        "api_key": KEY,
        "max_retries": 0,
        "stream_usage": True,
    }
    supports_json_mode = True
