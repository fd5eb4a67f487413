"""What is wrong with a catalogue file is said before anything starts, and where."""

import pytest

from obscura.upstreams.catalog_file import CatalogError, FileCatalog, read_catalog_file
from obscura.upstreams.demo import DemoModel

UPSTREAM = '[[upstreams]]\nname = "a"\nurl = "http://127.0.0.1:9/v1"\n'
MODEL = '[[models]]\nid = "m"\nupstream = "a"\n'


@pytest.mark.parametrize(
    ("toml", "said"),
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
    ],
)
def test_a_wrong_entry_is_named(tmp_path, toml, said):
    path = tmp_path / "models.toml"
    path.write_text(toml)

    with pytest.raises(CatalogError) as wrong:
        read_catalog_file(path)

    assert said in str(wrong.value)
    assert "models.toml" in str(wrong.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CatalogError, match="cannot be read"):
        read_catalog_file(tmp_path / "models.toml")


def test_a_key_that_is_not_in_the_environment_is_named(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'key_env = "SOME_KEY"\n' + MODEL)

    with pytest.raises(CatalogError, match="SOME_KEY, which is not set"):
        FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {})


def test_a_key_that_no_header_can_carry_is_named_and_not_told(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'key_env = "SOME_KEY"\n' + MODEL)

    with pytest.raises(CatalogError, match="SOME_KEY must be printable ASCII") as refused:
        FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {"SOME_KEY": "sk\r\nX-More: 1"})

    assert "X-More" not in str(refused.value)


async def test_a_model_speaks_chat_and_what_its_upstream_says_beside(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(UPSTREAM + 'dialects = ["responses"]\n' + MODEL)

    catalog = FileCatalog(read_catalog_file(path), lambda _entry, _key: DemoModel(), {})

    model = await catalog.find("m")
    assert model.dialects == {"chat", "responses"}
    assert await catalog.find("n") is None
