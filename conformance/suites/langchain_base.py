"""What the three suites of LangChain's standard tests share. They run in the tools' own environment."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["GATEWAY_URL"]
KEY = os.environ["GATEWAY_KEY"]
MODEL = "m"
MESSAGES_MODEL = "claude-m"
DOCUMENTS = {".png": os.environ["SAMPLE_PNG"], ".pdf": os.environ["SAMPLE_PDF"]}


def _local(url: str, **_: object) -> SimpleNamespace:
    """Return a file of ours in place of the one that the tests read from the internet."""
    return SimpleNamespace(content=Path(DOCUMENTS[Path(url).suffix]).read_bytes())


class GatewayTests(ChatModelIntegrationTests):
    """The standard tests with everything switched on that a gateway of images carries."""

    supports_image_inputs = True
    supports_image_tool_message = True
    supports_image_urls = False  # they are on hosts that loopback does not reach
    supports_pdf_inputs = True
    supports_anthropic_inputs = False
    enable_vcr_tests = False
    supports_model_override = True
    model_override_value = MODEL

    @pytest.fixture(autouse=True)
    def files_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the two downloads of the tests themselves; the clients have connections of their own."""
        monkeypatch.setattr("httpx.get", _local)
