"""Start a function behind the exec wrapper, which passes on the command line of AWS's own runtime.

The one place that decides how a function answers. Without the wrapper it is buffered, on AWS's runtime; with it,
streamed, on ours; and buffered again under ``sam local``, which reads no streamed response.
"""

import asyncio
import gc
import os
import sys


def main() -> int:
    """Serve, or give the process to AWS's own runtime; gives the process's status."""
    standard_runtime = sys.argv[1:]
    if os.environ.get("AWS_SAM_LOCAL") == "true":
        os.execvp(standard_runtime[0], standard_runtime)  # noqa: S606 the very command that Lambda would have run

    gc.disable()  # until the start is over: what is imported stays, and looking through it for garbage takes 8 % longer
    # Not before it is decided who serves.
    from obscura.api.process import tune_malloc
    from obscura.aws.runtime.logging import configure_logging

    tune_malloc()
    configure_logging()
    # Powertools looks at the root logger when it is imported.
    from obscura.aws.runtime.api import RuntimeApi
    from obscura.aws.runtime.loop import run

    return asyncio.run(run(RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"]), os.environ["_HANDLER"]))


if __name__ == "__main__":
    sys.exit(main())
