"""The stack that a template would become: translated, its conditions decided, its references resolved.

Only the intrinsic functions that the templates use are known (CloudFormation user guide, "Intrinsic function
reference"); another one raises, so that a template cannot outgrow its rehearsal unseen.
"""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[1]
SAM_PYTHON = ROOT / "sam" / ".venv" / "bin" / "python"

REGION: Final = "eu-central-1"
ACCOUNT = "123456789012"
NAME = "rehearsal"
_NOTHING = object()

type Json = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """A translated template with values for its parameters."""

    template: Json
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """Every parameter's value: as given, or its default."""
        declared = self.template.get("Parameters", {})
        return {name: str(self.given.get(name, how.get("Default", ""))) for name, how in declared.items()}

    def resources(self, of_type: str) -> dict[str, Json]:
        """Return the resolved properties of all resources of a type that would be created, by logical id."""
        return {
            logical_id: self.resolve(resource.get("Properties", {}))
            for logical_id, resource in self.template["Resources"].items()
            if resource["Type"] == of_type and self.holds(resource.get("Condition"))
        }

    def outputs(self) -> dict[str, str]:
        """Return the outputs that would be shown."""
        declared = self.template.get("Outputs", {})
        return {
            name: self.resolve(output["Value"])
            for name, output in declared.items()
            if self.holds(output.get("Condition"))
        }

    def resolve(self, value: Any) -> Any:
        """Replace every reference in ``value``; what is ``AWS::NoValue`` disappears."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (function := _FUNCTIONS.get(name := next(iter(value)))):
            return function(self, value[name])
        if any(name.startswith("Fn::") for name in value):
            raise NotImplementedError(f"The rehearsal does not know {list(value)}.")
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not _NOTHING}

    def ref(self, name: str) -> Any:
        """Return what ``Ref`` gives: a parameter's value, or a resource's name or ARN."""
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        resource = self.template["Resources"][name]
        naming = _REF.get(resource["Type"], _by_logical_id)
        return naming(self, name, resource.get("Properties", {}))

    def attribute(self, name: str, attribute: str) -> str:
        """Return what ``Fn::GetAtt`` gives: an ARN as AWS writes it, anything else a name of its own."""
        resource = self.template["Resources"][name]
        if attribute == "Arn" and (form := _ARNS.get(resource["Type"])):
            return form.format(name=self.ref(name), region=REGION, account=ACCOUNT)
        return f"{name}.{attribute}"

    def substitute(self, response: str | list[Any]) -> str:
        """Do what ``Fn::Sub`` does."""
        text, own = (response, {}) if isinstance(response, str) else (response[0], self.resolve(response[1]))

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return str(own[name])
            resource, _, attribute = name.partition(".")
            return self.attribute(resource, attribute) if attribute else str(self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def choose(self, response: list[Any]) -> Any:
        """Do what ``Fn::If`` does."""
        return self.resolve(response[1] if self.holds(response[0]) else response[2])

    def holds(self, condition: str | None) -> bool:
        """Tell whether a condition holds; None is no condition."""
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))


def translated(template: Path, **parameters: str) -> Stack:
    """Translate a SAM template in SAM's own environment, whose pins and ours exclude each other."""
    given = [f"{name}={value}" for name, value in parameters.items()]
    response = subprocess.run(  # noqa: S603 our own interpreter and paths
        [SAM_PYTHON, "-m", "rehearsal.translating", template, *given], cwd=ROOT, capture_output=True, check=True
    )
    return Stack(json.loads(response.stdout), parameters)


def _by_logical_id(_stack: Stack, logical_id: str, _properties: Json) -> str:
    return f"{NAME}-{logical_id.lower()}"


def _policy_arn(_stack: Stack, logical_id: str, _properties: Json) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{logical_id}"


def _property(name: str) -> Callable[[Stack, str, Json], str]:
    return lambda stack, _logical_id, properties: str(stack.resolve(properties[name]))


_PSEUDO = {
    "AWS::NoValue": _NOTHING,
    "AWS::StackName": NAME,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
_REF: dict[str, Callable[[Stack, str, Json], str]] = {
    "AWS::IAM::ManagedPolicy": _policy_arn,
    "AWS::DynamoDB::Table": _property("TableName"),
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
    "Fn::GetAtt": lambda stack, told: stack.attribute(*told),
    "Fn::Sub": Stack.substitute,
    "Fn::If": Stack.choose,
    "Fn::Equals": lambda stack, told: str(stack.resolve(told[0])) == str(stack.resolve(told[1])),
    "Fn::Not": lambda stack, told: not stack.resolve(told[0]),
    "Fn::And": lambda stack, told: all(stack.resolve(told)),
    "Condition": lambda stack, told: stack.holds(told),
}
