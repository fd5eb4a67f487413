"""Clients in Python with their defaults: a text, a stream, an image, a tool, a schema, over the dialects they speak."""

from conformance.figures import Figures
from conformance.pytest_run import run_suite
from conformance.setting import FOLDER, Setting

CLIENTS = {"openai-agents": "openai_agents", "pydantic-ai-slim": "pydantic_ai", "litellm": "litellm"}
INSTRUCTOR_BIN = FOLDER / ".venv-instructor" / "bin"


def run(setting: Setting) -> list[Figures]:
    """Run every client against both gateways."""
    found = []
    for way, gateway in setting.gateways.items():
        found += [
            run_suite(setting, gateway, f"clients_{suite}", tool, way, "-p", "no:schemathesis")
            for tool, suite in CLIENTS.items()
        ]
        found.append(run_suite(setting, gateway, "clients_instructor", "instructor", way, bin_folder=INSTRUCTOR_BIN))
    return found
