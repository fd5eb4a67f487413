"""The stack that a template would become: translated, its conditions decided, its references resolved.

Only the intrinsic functions that the templates use are implemented (CloudFormation user guide, "Intrinsic function
reference"); any other raises an error, so that no part of a template goes unchecked.
"""

import json
import re
import subprocess
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[1]
SAM_PYTHON = ROOT / "sam" / ".venv" / "bin" / "python"

REGION: Final = "eu-central-1"
ACCOUNT = "123456789012"
NAME = "rehearsal"
_NO_VALUE = object()

type Json = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """A translated template with values for its parameters."""

    template: Json
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """Value of every parameter: as given, or its default."""
        declared = self.template.get("Parameters", {})
        return {name: str(self.given.get(name, parameter.get("Default", ""))) for name, parameter in declared.items()}

    def resources(self, of_type: str) -> dict[str, Json]:
        """Return the resolved properties of all resources of a type that would be created, by logical id."""
        return {
            logical_id: self.resolve(resource.get("Properties", {}))
            for logical_id, resource in self.template["Resources"].items()
            if resource["Type"] == of_type and self.holds(resource.get("Condition"))
        }

    def outputs(self) -> dict[str, str]:
        """Return the values of the outputs that would be shown."""
        declared = self.template.get("Outputs", {})
        return {
            name: self.resolve(output["Value"])
            for name, output in declared.items()
            if self.holds(output.get("Condition"))
        }

    def resolve(self, value: Any) -> Any:
        """Replace every reference in ``value``; members that are ``AWS::NoValue`` disappear."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (function := _FUNCTIONS.get(name := next(iter(value)))):
            return function(self, value[name])
        if any(name.startswith("Fn::") for name in value):
            raise NotImplementedError(f"The rehearsal does not implement {list(value)}.")
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not _NO_VALUE}

    def ref(self, name: str) -> Any:
        """Return the value of ``Ref``: a parameter's value, or a resource's name or ARN."""
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        resource = self.template["Resources"][name]
        physical_id = _REF.get(resource["Type"], _by_logical_id)
        return physical_id(self, name, resource.get("Properties", {}))

    def attribute(self, name: str, attribute: str) -> str:
        """Return the value of ``Fn::GetAtt``: an ARN as AWS writes it, a made-up name for any other attribute."""
        resource = self.template["Resources"][name]
        if attribute == "Arn" and (pattern := _ARNS.get(resource["Type"])):
            return pattern.format(name=self.ref(name), region=REGION, account=ACCOUNT)
        return f"{name}.{attribute}"

    def substitute(self, argument: str | list[Any]) -> str:
        """Evaluate ``Fn::Sub``."""
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return str(own[name])
            resource, _, attribute = name.partition(".")
            return self.attribute(resource, attribute) if attribute else str(self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def choose(self, argument: list[Any]) -> Any:
        """Evaluate ``Fn::If``."""
        return self.resolve(argument[1] if self.holds(argument[0]) else argument[2])

    def look_up(self, argument: list[Any]) -> Any:
        """Evaluate ``Fn::FindInMap``."""
        name, first, second = map(self.resolve, argument)
        return self.template["Mappings"][name][str(first)][second]

    def broken_rules(self) -> list[str]:
        """Return what CloudFormation would say of parameters that break the template's rules ("Rules section")."""
        return [
            str(assertion["AssertDescription"])
            for rule in self.template.get("Rules", {}).values()
            if self.resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def holds(self, condition: str | None) -> bool:
        """Whether a condition holds; None is no condition."""
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))


def translated(template: Path, **parameters: str) -> Stack:
    """Translate a SAM template in SAM's own environment, whose requirements conflict with ours (ADR 40)."""
    [stack] = translated_each([template], **parameters)
    return stack


def translated_each(templates: Sequence[Path], **parameters: str) -> list[Stack]:
    """Translate several templates in one process, which takes less than half as long as one each."""
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    versions = tuple((template, template.stat().st_mtime_ns) for template in templates)
    return [Stack(each, parameters) for each in json.loads(_translation(versions, tuple(arguments)))]


@cache
def _translation(versions: tuple[tuple[Path, int], ...], arguments: tuple[str, ...]) -> bytes:
    """Return the translations as JSON; many tests ask for the same one, which takes seconds."""
    command: list[str | Path] = [
        SAM_PYTHON,
        "-m",
        "rehearsal.translating",
        *[template for template, _ in versions],
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603 our own interpreter and paths


def _by_logical_id(_stack: Stack, logical_id: str, _properties: Json) -> str:
    return f"{NAME}-{logical_id.lower()}"


def _policy_arn(_stack: Stack, logical_id: str, _properties: Json) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{logical_id}"


def _property(name: str) -> Callable[[Stack, str, Json], str]:
    return lambda stack, _logical_id, properties: str(stack.resolve(properties[name]))


def _parts(value: str | list[str]) -> list[str]:
    """Return the members of a list, or those of a parameter that is one (CommaDelimitedList)."""
    return value.split(",") if isinstance(value, str) else value


def _layer_arn(_stack: Stack, logical_id: str, _properties: Json) -> str:
    """Return the ARN of a layer's version, whose number is another one for another logical id, as on AWS."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{logical_id}:{zlib.crc32(logical_id.encode())}"


_PSEUDO = {
    "AWS::NoValue": _NO_VALUE,
    "AWS::StackName": NAME,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
_REF: dict[str, Callable[[Stack, str, Json], str]] = {
    "AWS::IAM::ManagedPolicy": _policy_arn,
    "AWS::Lambda::LayerVersion": _layer_arn,
    "AWS::DynamoDB::Table": _property("TableName"),
    "AWS::Lambda::CapacityProvider": _property("CapacityProviderName"),
    "AWS::Lambda::Function": _property("FunctionName"),
    "AWS::Logs::LogGroup": _property("LogGroupName"),
    "AWS::ApiGateway::Stage": _property("StageName"),
}
_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
}

_FUNCTIONS: dict[str, Callable[[Stack, Any], Any]] = {
    "Ref": Stack.ref,
    "Fn::GetAtt": lambda stack, argument: stack.attribute(*argument),
    "Fn::Sub": Stack.substitute,
    "Fn::If": Stack.choose,
    "Fn::FindInMap": Stack.look_up,
    "Fn::Select": lambda stack, argument: stack.resolve(argument[1])[int(argument[0])],
    "Fn::Split": lambda stack, argument: str(stack.resolve(argument[1])).split(argument[0]),
    "Fn::Equals": lambda stack, argument: str(stack.resolve(argument[0])) == str(stack.resolve(argument[1])),
    "Fn::Not": lambda stack, argument: not stack.resolve(argument[0]),
    "Fn::Or": lambda stack, argument: any(stack.resolve(argument)),
    "Fn::Contains": lambda stack, argument: str(stack.resolve(argument[1])) in stack.resolve(argument[0]),
    "Fn::Join": lambda stack, argument: argument[0].join(map(str, _parts(stack.resolve(argument[1])))),
    "Fn::And": lambda stack, argument: all(stack.resolve(argument)),
    "Condition": lambda stack, argument: stack.holds(argument),
}
