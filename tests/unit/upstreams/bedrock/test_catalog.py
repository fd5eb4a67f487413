"""Bedrock in the catalog file and in the settings: what it opens, and what is refused at start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from obscura.settings import Settings
from obscura.upstreams.base import ModelOptions
from obscura.upstreams.bedrock.catalog import BedrockCatalog
from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file
from obscura.upstreams.demo import DemoModel

UPSTREAM = '[[upstreams]]\nname = "b"\nkind = "bedrock"\nregion = "eu-central-1"\n'
MODELS = """
[[models]]
id = "claude"
upstream = "b"
upstream_id = "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"
family = "anthropic"
max_output = 100
additional_fields = {a = {b = [1]}}
[[models]]
id = "amazon.nova-pro-v1:0"
upstream = "b"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text)
    return path


async def test_an_entry_needs_no_url_and_no_key(tmp_path: Path) -> None:
    file = read_catalog_file(written(tmp_path, UPSTREAM + 'guardrail = "arn:x:guardrail/y:3"\n' + MODELS))
    catalog = FileCatalog(file, lambda _entry, _key: DemoModel())

    (entry,) = file.upstreams
    options = entry.options(file.models)
    assert entry.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert (options.region, options.guardrail) == ("eu-central-1", ("arn:x:guardrail/y", "3"))
    assert options.control_url == "https://bedrock.eu-central-1.amazonaws.com"
    profile = "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"
    assert options.models["claude"] == ModelOptions(profile, "anthropic", 100, {"a": {"b": [1]}})
    assert [model.dialects for model in await catalog.all()] == [{"chat", "messages"}, {"chat"}]


async def test_messages_may_be_translated_for_all(tmp_path: Path) -> None:
    file = read_catalog_file(written(tmp_path, UPSTREAM + 'dialects = ["chat"]\n' + MODELS))

    models = await FileCatalog(file, lambda _entry, _key: DemoModel()).all()
    assert {model.dialects for model in models} == {frozenset({"chat"})}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (UPSTREAM.replace('region = "eu-central-1"\n', "") + MODELS, "region is required"),
        (UPSTREAM.replace("eu-central-1", "evil.example/") + MODELS, "region"),
        (UPSTREAM + 'url = "https://u:p@a.example"\n' + MODELS, "may have no user"),
        (UPSTREAM + 'guardrail = "x"\n' + MODELS, "guardrail"),
        (UPSTREAM + 'dialects = ["responses"]\n' + MODELS, "do not speak responses"),
        (
            UPSTREAM.replace("bedrock", "openai") + 'url = "https://a.example/v1"\n' + MODELS,
            "region is a field of kind",
        ),
        ('[[upstreams]]\nname = "b"\nurl = "https://a.example/v1"\n' + MODELS, "has upstream_id"),
        ('[[upstreams]]\nname = "b"\n' + MODELS, "url is required"),
    ],
)
def test_what_is_wrong_is_named_at_start(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        read_catalog_file(written(tmp_path, text))


@pytest.mark.parametrize("value", ["bedrock:", "bedrock:x", "bedrock:eu-central-1/x", "bedrock:evil.example"])
def test_a_region_is_one_of_awss(value: str) -> None:
    with pytest.raises(ValidationError, match="region"):
        Settings(upstream_url=value)


async def test_the_models_that_are_named_are_there_and_no_others() -> None:
    named = BedrockCatalog(DemoModel(), ("eu.anthropic.claude-x-v1:0", "amazon.nova-pro-v1:0"))
    free = BedrockCatalog(DemoModel(), ())

    claude, nova = await named.all()
    assert (claude.dialects, claude.token_profile) == (frozenset({"chat", "messages"}), "anthropic")
    assert (nova.dialects, nova.token_profile) == (frozenset({"chat"}), "qwen")
    assert await named.find("meta.llama4") is None
    assert await free.find("meta.llama4") is not None


@pytest.mark.parametrize("model_id", ["..", ".", "/", "a b", "ä", "a?b", "a\r\nb", "x" * 2_049])
async def test_an_id_that_no_model_can_have_is_not_found(model_id: str) -> None:
    assert await BedrockCatalog(DemoModel(), ()).find(model_id) is None
