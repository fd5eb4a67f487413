"""``obscura doctor`` on the decoders that a deployment may lack."""

from pathlib import Path

import pytest

from obscura.cli.doctor import Finding, examine
from obscura.imaging import container
from obscura.settings import Settings


def heic(settings: Settings) -> Finding:
    return next(finding for finding in examine(settings) if finding.subject == "HEIC")


def test_the_heic_decoder_is_present_on_a_laptop(tmp_path: Path) -> None:
    assert heic(Settings(data_dir=tmp_path)).verdict == "ok"


def test_a_missing_heic_decoder_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "find_spec", lambda _: None)

    finding = heic(Settings(data_dir=tmp_path))

    assert finding.verdict == "warn"
    assert "install pi-heif" in finding.detail
