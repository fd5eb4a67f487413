"""``make prune``: deletes all but the two newest versions of each function of a deployed stack (ADR 152).

It needs the operator's credentials and region, as `sam deploy` does.
"""

import sys
from collections.abc import Iterator
from typing import Any

import boto3

KEPT = 2
"""Versions of each function: the one that is called, and the one before it, to go back to."""


def main(stack: str, *, session: boto3.Session | None = None) -> int:
    """Delete old versions, and print each; returns how many were deleted."""
    opened = session or boto3.Session()
    functions, deleted = opened.client("lambda"), 0
    for function in _functions_of(stack, opened.client("cloudformation")):
        for version in _old_versions(function, functions):
            functions.delete_function(FunctionName=function, Qualifier=str(version))
            print(f"{function}: version {version} is deleted")
            deleted += 1
    print(f"{deleted} old versions of {stack} were deleted")
    return deleted


def _functions_of(stack: str, cloudformation: Any) -> Iterator[str]:
    """Yield the names of a stack's functions; by their prefix alone those of another stack could be meant."""
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Function":
                yield resource["PhysicalResourceId"]


def _old_versions(function: str, functions: Any) -> list[int]:
    """Return a function's versions but the two newest and those that an alias calls, in a canary's time two."""
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    names = [version["Version"] for page in pages for version in page["Versions"]]
    published = sorted(int(name) for name in names if name != "$LATEST")
    called: set[int] = set()
    for page in functions.get_paginator("list_aliases").paginate(FunctionName=function):
        for alias in page["Aliases"]:
            weighted = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            called |= {int(name) for name in (alias["FunctionVersion"], *weighted) if name != "$LATEST"}
    return [version for version in published[:-KEPT] if version not in called]


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["obscura"])
