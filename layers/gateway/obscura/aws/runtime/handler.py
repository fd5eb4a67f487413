"""The function's handler: ``module.name`` below the task root, as in the template."""

import importlib
import os
import sys

from obscura.aws.entry import LambdaEntry


def load_entry(handler: str) -> LambdaEntry:
    """Import a handler and give it; raises what the import raises, and TypeError for another kind of handler."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", ".")
    if task_root not in sys.path:
        sys.path.insert(0, task_root)
    module, _, name = handler.rpartition(".")
    entry = getattr(importlib.import_module(module.replace("/", ".")), name)
    if not isinstance(entry, LambdaEntry):
        raise TypeError(f"the handler {handler} was not made by obscura.aws.entry.lambda_entry")
    return entry
