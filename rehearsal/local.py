"""``make local-lambda``: one event to one built function in Lambda's runtime emulator, and its answer."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rehearsal.checks import functions_by_family
from rehearsal.emulator import WRAPPER, emulated
from rehearsal.events import PLACEHOLDER
from rehearsal.layout import lay_out
from rehearsal.stack import ROOT, translated


def main(family: str, event: Path) -> int:
    """Run the function with this terminal's OBSCURA_ settings and a key of its own; no account is needed."""
    wrapper = functions_by_family(translated(ROOT / "template.yaml"))[family]["Environment"]["Variables"].get(WRAPPER)
    with tempfile.TemporaryDirectory() as folder:
        settings = {name: value for name, value in os.environ.items() if name.startswith(("OBSCURA_", "AWS_"))}
        settings = {"OBSCURA_DATA_DIR": folder} | settings
        response = json.loads(event.read_text().replace(PLACEHOLDER, _new_key(settings)))
        lines = Path(folder) / "lines.log"
        layout = lay_out()
        with emulated(layout, family, settings | ({WRAPPER: wrapper} if wrapper else {}), lines) as emulator:
            answered = emulator.invoke(response)
        sys.stderr.write(lines.read_text())
    sys.stderr.write(f"Laid out as on Lambda: {layout}.\n" if not layout.refused else f"Note: {layout}.\n")
    sys.stdout.write(f"{answered.status} in {answered.elapsed_ms:.0f} ms\n")
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in sorted(answered.headers.items()))
    sys.stdout.write(f"\n{answered.body.decode(errors='replace')}\n")
    return 0


def _new_key(settings: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "obscura.cli", "keys", "create", "--project", "local-lambda"],
        env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
