"""What an upstream takes of images: known by host, kind or name, changed by the catalog, the strictest of several."""

from pathlib import Path

import pytest

from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file
from obscura.upstreams.demo import DemoModel
from obscura.upstreams.image_limits import NO_LIMITS, PRESETS, UpstreamImageLimits, known_limits, strictest


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("https://api.openai.com/v1", "openai", "openai"),
        ("https://eu.api.openai.com/v1", "openai", "openai"),
        ("https://api.openai.com.evil.test/v1", "openai", "none"),
        ("https://api.anthropic.com/v1", "openai", "anthropic"),
        ("https://proxy.test/v1", "anthropic", "anthropic"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "openai", "bedrock"),
        ("https://proxy.test", "bedrock", "bedrock"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "openai", "gemini"),
        ("http://127.0.0.1:11434/v1", "openai", "ollama"),
        ("http://10.0.3.7:8000/v1", "openai", "none"),
        ("", "openai", "none"),
    ],
)
def test_limits_are_known_by_host_and_kind(url: str, kind: str, name: str) -> None:
    assert known_limits(url, kind) is PRESETS[name]


def test_anthropic_and_bedrock_take_five_mebibytes_of_base64() -> None:
    assert {PRESETS[name].max_image_bytes for name in ("anthropic", "bedrock")} == {5_242_880}


def test_the_strictest_of_several_holds_for_all() -> None:
    some = [PRESETS["anthropic"], PRESETS["bedrock"], PRESETS["ollama"], NO_LIMITS]

    assert strictest(some) == UpstreamImageLimits(20, 5_242_880, 2000, frozenset({"jpeg", "png"}), 2576)
    assert strictest([]) == NO_LIMITS
    with pytest.raises(ValueError, match="image_types must have jpeg or png"):
        strictest([UpstreamImageLimits(image_types=frozenset({"jpeg"})), UpstreamImageLimits(image_types=frozenset())])


async def limits_of(tmp_path: Path, upstream: str, model: str) -> UpstreamImageLimits:
    path = tmp_path / "models.toml"
    path.write_text(
        f'[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:9/v1"\n{upstream}\n'
        f'[[models]]\nid = "m"\nupstream = "a"\n{model}\n'
    )
    found = await FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {}).find("m")
    assert found is not None
    return found.image_limits


async def test_a_model_changes_what_its_upstream_has(tmp_path: Path) -> None:
    limits = await limits_of(
        tmp_path, 'limits = "anthropic"\nmax_images = 7', 'max_image_bytes = 900\nimage_types = ["png"]'
    )

    assert limits == UpstreamImageLimits(7, 900, 2000, frozenset({"png"}), 2576)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('limits = "smoke"', "must be one of none, openai, anthropic, bedrock, gemini, vllm, ollama"),
        ("max_images = 0", "max_images"),
        ("max_image_bytes = 0", "max_image_bytes"),
        ("max_image_side_px = 1", "max_image_side_px"),
        ('image_types = ["webp"]', "must have jpeg or png"),
        ('image_types = ["gif"]', "image_types"),
    ],
)
async def test_an_invalid_limit_is_named(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        await limits_of(tmp_path, entry, "")
