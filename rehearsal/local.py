"""``make local-lambda``: invokes one built function with one event, in Lambda's runtime emulator."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rehearsal.checks import functions_by_family
from rehearsal.emulator import WRAPPER, emulated
from rehearsal.events import PLACEHOLDER
from rehearsal.families import key_options
from rehearsal.layout import install_layout
from rehearsal.stack import ROOT, translated


def main(family: str, event_file: Path) -> int:
    """Run the function with this terminal's OBSCURA_ settings and a new key; no account is needed."""
    wrapper = functions_by_family(translated(ROOT / "template.yaml"))[family]["Environment"]["Variables"].get(WRAPPER)
    with tempfile.TemporaryDirectory() as folder:
        settings = {name: value for name, value in os.environ.items() if name.startswith(("OBSCURA_", "AWS_"))}
        settings = {"OBSCURA_DATA_DIR": folder} | settings
        event = json.loads(event_file.read_text().replace(PLACEHOLDER, _new_key(settings, family)))
        log = Path(folder) / "function.log"
        layout = install_layout()
        with emulated(layout, family, settings | ({WRAPPER: wrapper} if wrapper else {}), log) as emulator:
            response = emulator.invoke(event)
        sys.stderr.write(log.read_text())
    sys.stderr.write(f"Laid out as on Lambda: {layout}.\n" if not layout.rejection else f"Note: {layout}.\n")
    sys.stdout.write(f"{response.status} in {response.elapsed_ms:.0f} ms\n")
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in sorted(response.headers.items()))
    sys.stdout.write(f"\n{response.body.decode(errors='replace')}\n")
    return 0


def _new_key(settings: dict[str, str], family: str) -> str:
    created = subprocess.run(  # noqa: S603 our own interpreter and arguments
        [sys.executable, "-m", "obscura.cli", "keys", "create", "--project", "local-lambda", *key_options(family)],
        env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return created.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
