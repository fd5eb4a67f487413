"""Translate a SAM template as CloudFormation's transform would; runs in SAM's own environment (ADR 40).

``python -m rehearsal.translating TEMPLATE… [NAME=VALUE …]`` writes a JSON array: each template under the same values.
"""

import json
import os
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

REGION = "eu-central-1"
CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


def translate(template: Path, parameters: dict[str, str]) -> dict[str, object]:
    """Translate the template as `sam deploy` would send it: with local code replaced by its S3 location."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    parsed = yaml_parse(template.read_text())
    for resource in parsed["Resources"].values():
        if (member := CODE.get(resource["Type"])) and isinstance(resource["Properties"][member], str):
            resource["Properties"][member] = f"s3://rehearsal/{resource['Properties'][member]}"
    translated: dict[str, object] = Translator({}, Parser()).translate(parsed, parameters)
    return translated


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if "=" in argument]
    values = dict(pair.split("=", 1) for pair in given)
    sys.stdout.write(json.dumps([translate(Path(name), values) for name in sys.argv[1:] if name not in given]))
