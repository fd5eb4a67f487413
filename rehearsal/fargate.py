"""``python -m rehearsal.fargate``: write ``template-fargate.yaml``, an ECS service behind a load balancer (ADR 192).

It shares ``template-container.yaml``'s parameters, environment, secrets and roles, and has its own service. Each of the
changes below raises an error when the text that it replaces is not there once.
"""

import sys

from rehearsal.stack import ROOT

SOURCE, TEMPLATE = ROOT / "template-container.yaml", ROOT / "template-fargate.yaml"
OWN = ROOT / "rehearsal" / "fargate.yaml"
"""What only the plain service has: sections that begin with ``# == NAME``."""
HEADER = "# Written by `make fargate-template` from template-container.yaml and rehearsal/fargate.yaml: change those.\n"
_SECTION = "# == "


def fargate_template() -> str:
    """Return the template; raises ValueError for a part of the other one that is not there once."""
    shared, own = SOURCE.read_text(), own_sections()
    head, _, rest = shared.partition("Resources:\n")
    resources, _, _ = rest.partition("\nOutputs:\n")
    head = _replaced(head, _between(head, "Description: >-\n", "Parameters:\n"), own["description"] + "\n")
    head = _replaced(head, _between(head, "  Image:\n", "  StackName:\n"), own["image"])
    head = _replaced(head, "  MaxTasks:\n", own["parameters"] + "  MaxTasks:\n")
    head = _replaced(head, "\nConditions:\n", "\nConditions:\n" + own["conditions"])
    head = _replaced(head, "\nRules:\n", "\nRules:\n" + own["rules"])
    service = _between(resources, "  Service:\n", "  LogGroup:\n")
    container = _between(service, "        Environment:\n", "\n")
    environment = service[service.index(container) :].rstrip("\n")
    environment = _replaced(environment, "        Environment:\n", "        Environment:\n" + own["environment"])
    indented = "".join(f"  {line}\n" if line else "\n" for line in environment.splitlines())
    resources = _replaced(resources, service, own["service"] + indented + "\n" + own["network"] + "\n")
    infrastructure = resources[resources.index("  # Permissions of ECS around it") :]
    resources = _replaced(resources, infrastructure, "")
    return HEADER + head + "Resources:\n" + resources.rstrip("\n") + "\n\nOutputs:\n" + own["outputs"]


def own_sections() -> dict[str, str]:
    """Return the sections of ``OWN`` by name."""
    _, *sections = OWN.read_text().split(_SECTION)
    named = (section.partition("\n") for section in sections)
    return {name: text.rstrip("\n") + "\n" for name, _, text in named}


def _between(text: str, begin: str, end: str) -> str:
    """Return a part of a text from the line that begins it up to, and without, the one after it."""
    if text.count(begin) != 1:
        raise ValueError(f"{SOURCE.name} has {begin.strip()!r} {text.count(begin)} times, not once")
    start = text.index(begin)
    return text[start : text.index(end, start + len(begin))]


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{SOURCE.name} has {old.strip()[:80]!r} {text.count(old)} times, not once")
    return text.replace(old, new)


def main() -> int:
    """Write the template."""
    TEMPLATE.write_text(fargate_template())
    return 0


if __name__ == "__main__":
    sys.exit(main())
