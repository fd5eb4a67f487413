"""Updates of a stack: which versions of functions they publish, and which of those Lambda would refuse (ADR 151)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rehearsal.checks import UNVERSIONED
from rehearsal.stack import ROOT, Json, Stack, translated_each

VARIANTS = {
    "tags": ("    Runtime: python3.13\n", "    Runtime: python3.13\n    Tags: {team: images}\n"),
    "another wording of a policy": ("        Settings: ${SecretsPath}", "        All settings: ${SecretsPath}"),
    "another description of a layer": ("Description: PDFium, for Obscura", "Description: PDFium for Obscura"),
    "another route": ("Path: /v1/inspect, Method: post", "Path: /v2/inspect, Method: post"),
    "another variable": ("        OBSCURA_LOG_LEVEL:", "        ANOTHER: variable\n        OBSCURA_LOG_LEVEL:"),
}
"""Commits to the template alone: a text in it, and what replaces it."""


def variants(folder: Path, names: Sequence[str] = tuple(VARIANTS)) -> dict[str, Stack]:
    """Return the stack after each of these commits to the template, which are written to ``folder``."""
    template, files = (ROOT / "template.yaml").read_text(), []
    for number, (old, new) in enumerate(VARIANTS[name] for name in names):
        if old not in template:
            raise ValueError(f"The template does not have {old!r}.")
        files.append(folder / f"variant-{number}.yaml")
        files[-1].write_text(template.replace(old, new, 1))
    return dict(zip(names, translated_each(files), strict=True))


def refused_versions(old: Stack, new: Stack) -> Iterator[str]:
    """Name each version that an update publishes of a function that it leaves as it was."""
    for function in published(old, new):
        if _versioned(old, function) == _versioned(new, function):
            yield f"{function}: a version for this function exists"


def unpublished_changes(old: Stack, new: Stack) -> Iterator[str]:
    """Name each function that an update changes without publishing a version, so that callers keep the old one."""
    for function in _versions(new).keys() - set(published(old, new)):
        if _versioned(old, function) != _versioned(new, function):
            yield f"{function}: changed, and no version of it is published"


def published(old: Stack, new: Stack) -> list[str]:
    """Return the functions of which an update publishes a version: one of another name or another description."""
    before, after = _versions(old), _versions(new)
    return [function for function, version in after.items() if before.get(function) != version]


def _versions(stack: Stack) -> dict[str, tuple[str, str]]:
    """Return the logical id and the description of each function's version; both are create-only."""
    return {
        resource["Properties"]["FunctionName"]["Ref"]: (
            name,
            _described(stack, resource["Properties"].get("Description")),
        )
        for name, resource in stack.template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Version"
    }


def _versioned(stack: Stack, function: str) -> Json:
    """Return what of a function is part of a version, with a policy's ARN as it changes when the policy is replaced."""
    properties = dict(stack.template["Resources"][function]["Properties"])
    described_by = _described(stack, properties["Environment"]["Variables"].get("REVISION"))
    kept = {name: part for name, part in stack.resolve(properties).items() if name not in UNVERSIONED}
    kept["Environment"]["Variables"]["REVISION"] = described_by
    return kept


def _described(stack: Stack, value: object) -> str:
    """Return a description's text, with that of the policies that it names: a policy of another text is another one."""
    name = value.get("Ref") if isinstance(value, dict) else None
    resources = stack.template["Resources"]
    if name not in resources:
        return str(stack.resolve(value))
    described = resources[name]["Properties"]["Description"]
    named = [other for other, resource in resources.items() if resource["Type"] == "AWS::IAM::ManagedPolicy"]
    inner = [
        _described(stack, {"Ref": other}) for other in named if other != name and f"${{{other}}}" in str(described)
    ]
    return f"{name}: {stack.resolve(described)} {inner}"
