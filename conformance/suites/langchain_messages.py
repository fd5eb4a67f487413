"""LangChain's standard tests over Messages."""

from typing import ClassVar

from langchain_anthropic import ChatAnthropic
from langchain_base import KEY, MESSAGES_MODEL, URL, GatewayTests


class TestMessages(GatewayTests):
    """ChatAnthropic with its defaults."""

    chat_model_class = ChatAnthropic
    chat_model_params: ClassVar = {
        "model": MESSAGES_MODEL,
        "base_url": URL,
        "api_key": KEY,
        "max_retries": 0,
        "max_tokens": 1000,
    }
    model_override_value = MESSAGES_MODEL
    supports_anthropic_inputs = True
