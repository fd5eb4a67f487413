"""A served gateway for the SDKs, one for the whole run, and the ``openai`` SDK's client of it."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.serving_process import ServingProcess, environment, serving


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    with serving(environment(tmp_path_factory.mktemp("data"))) as process:
        yield process


@pytest.fixture
def client(gateway: ServingProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.v1, api_key=gateway.key, max_retries=0) as sdk:
        yield sdk
