"""The catalog file: every invalid entry is named before anything starts."""

from pathlib import Path

import pytest

from obscura.bootstrap_upstreams import upstream_timeouts
from obscura.settings import Settings
from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file
from obscura.upstreams.demo import DemoModel
from obscura.upstreams.registry import UPSTREAM_KINDS

UPSTREAM = '[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:9/v1"\n'
MODEL = '[[models]]\nid = "m"\nupstream = "a"\n'
NAMELESS = '[[models]]\nid = "m"\n'


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("nonsense", "is not TOML"),
        ("", "upstreams: Field required"),
        (UPSTREAM, "models: Field required"),
        (UPSTREAM + MODEL + "colour = 1", "models.0.colour: Extra inputs"),
        (UPSTREAM + MODEL.replace('"a"', '"b"'), "names upstream 'b', which is not in the file"),
        (UPSTREAM + MODEL + MODEL, "model named twice: m"),
        (UPSTREAM + UPSTREAM + MODEL, "upstream named twice: a"),
        (UPSTREAM + MODEL + "token_factor = 1.62\n", "model 'm' has a token_factor, which only openai_patches"),
        (UPSTREAM + MODEL + "context_length = 0", "models.0.context_length"),
        (UPSTREAM + 'dialects = ["smoke"]\n' + MODEL, "upstreams.0.dialects"),
        (UPSTREAM.replace("http:", "ftp:") + MODEL, "upstreams.0.url"),
        (
            UPSTREAM + 'kind = "smoke"\n' + MODEL,
            f"must be one of {', '.join(UPSTREAM_KINDS)}",
        ),
        (UPSTREAM + NAMELESS, "model 'm' must have either an upstream or upstreams"),
        (UPSTREAM + MODEL + 'upstreams = ["a"]', "model 'm' must have either an upstream or upstreams"),
        (UPSTREAM + NAMELESS + 'upstreams = ["a", "b"]', "names upstream 'b', which is not in the file"),
        (UPSTREAM + NAMELESS + 'upstreams = ["a", "a"]', "names an upstream twice with the same model"),
        (UPSTREAM + NAMELESS + 'upstreams = ["a"]\nmode = "random"', "models.0.mode"),
        (UPSTREAM + NAMELESS + 'upstreams = [{name = "a", weight = 0}]', "models.0.upstreams.0.weight"),
        (UPSTREAM.replace('"a"', '"gr\u00f6\u00dfer"') + MODEL, "upstreams.0.name"),
        (UPSTREAM.replace('"a"', '"a\\nb"') + MODEL, "upstreams.0.name"),
        (UPSTREAM + "failures_to_open = 0\n" + MODEL, "upstreams.0.failures_to_open"),
        (UPSTREAM + MODEL + 'sees_through = "x"', "model 'm' sees through 'x', which is not in the file"),
        (
            UPSTREAM + MODEL + 'sees_through = "m"',
            "model 'm' sees through 'm', which sees through another model itself",
        ),
        (
            UPSTREAM + MODEL + 'sees_through = "n"\n' + MODEL.replace('"m"', '"n"') + 'input = ["text"]',
            "model 'm' sees through 'n', which cannot see",
        ),
        (UPSTREAM + 'kind = "openai"\ndialects = ["messages"]\n' + MODEL, "kind openai do not speak messages"),
        (UPSTREAM + "image_files = true\n" + MODEL, "image_files of kind openai is for responses"),
        (UPSTREAM + 'kind = "vllm"\nimage_files = true\n' + MODEL, "for upstreams of kind openai and anthropic"),
    ],
)
def test_an_invalid_entry_is_named(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(toml)

    with pytest.raises(CatalogError) as raised:
        read_catalog_file(path)

    assert message in str(raised.value)
    assert "models.toml" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read"):
        read_catalog_file(tmp_path / "models.toml")


def test_a_key_missing_from_the_environment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'key_env = "SOME_KEY"\n' + MODEL)

    with pytest.raises(CatalogError, match="SOME_KEY, which is not set"):
        FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {})


def test_a_key_that_no_header_can_carry_is_named_but_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'key_env = "SOME_KEY"\n' + MODEL)

    with pytest.raises(CatalogError, match="SOME_KEY must be printable ASCII") as raised:
        FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {"SOME_KEY": "sk\r\nX-More: 1"})

    assert "X-More" not in str(raised.value)


async def test_a_model_speaks_chat_and_the_dialects_of_its_upstream(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'dialects = ["responses"]\n' + MODEL)

    catalog = FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {})

    model = await catalog.find("m")
    assert model.dialects == {"chat", "responses"}
    assert await catalog.find("n") is None


@pytest.mark.parametrize(
    ("lines", "kind"),
    [("", "openai"), ('dialects = ["messages"]\n', "anthropic"), ('kind = "anthropic"\n', "anthropic")],
)
def test_without_a_kind_the_dialects_decide(tmp_path: Path, lines: str, kind: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + lines + MODEL)

    (entry,) = read_catalog_file(path).upstreams

    assert entry.effective_kind == kind


async def test_each_upstream_of_a_model_is_asked_for_its_own_model(tmp_path: Path) -> None:
    members = """upstreams = ["a", {name = "b", model = "org/m", weight = 2, token_limit = "max_completion_tokens"}]
    token_limit = "max_tokens"
    mode = "weighted"
    """
    second = UPSTREAM.replace('"a"', '"b"') + 'dialects = ["responses"]\nstore_field = false\n'
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + second + NAMELESS + members)
    model = await FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel()).find("m")

    assert model is not None
    assert (model.id, model.mode, sorted(model.native_dialects)) == ("m", "weighted", ["chat"])
    assert [(member.upstream_name, member.id, member.weight) for member in model.asked] == [
        ("a", "m", 1),
        ("b", "org/m", 2),
    ]
    assert [member.token_limit for member in model.asked] == ["max_tokens", "max_completion_tokens"]
    assert [member.store_field for member in model.asked] == [True, False]


async def test_models_of_one_upstream_share_its_circuit(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + MODEL + MODEL.replace('"m"', '"n"'))
    catalog = FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel())
    first, second = await catalog.all()

    assert first.breaker is second.breaker is not None


def test_the_timeouts_of_an_entry_replace_those_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + "idle_s = 240\n" + MODEL)
    (entry,) = read_catalog_file(path).upstreams

    timeouts = upstream_timeouts(Settings(upstream_timeout_s=30), entry.timeout_s, entry.idle_s)

    assert (timeouts.first_byte_s, timeouts.between_chunks_s) == (30, 240)
