"""docs/fields-images.md names every field that the rules know, and no other."""

import re
from pathlib import Path

from obscura.dialects.images.rules import EDIT, GENERATION

PAGE = Path(__file__).parents[4] / "docs" / "fields-images.md"


def test_the_table_of_fields_is_that_of_the_rules() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)(?:\[\])?`", row)}

    assert named - {"markup"} == ({*GENERATION.names} | {*EDIT.names}) - {"metadata"}
