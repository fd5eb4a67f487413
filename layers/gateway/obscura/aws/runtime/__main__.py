"""Start a function from the exec wrapper, which passes on the command line of AWS's own runtime (ADR 51).

The only code that decides how a function responds: without the wrapper, buffered, on AWS's runtime; with it, streamed,
on ours; and buffered again under ``sam local``, which cannot read a streamed response.
"""

import asyncio
import gc
import logging
import os
import sys


def main() -> int:
    """Serve, or replace the process by AWS's own runtime; returns the process's status."""
    standard_runtime = sys.argv[1:]
    if os.environ.get("AWS_SAM_LOCAL") == "true":
        os.execvp(standard_runtime[0], standard_runtime)  # noqa: S606 the very command that Lambda would have run

    gc.disable()  # until the start is over: all that is imported stays, and collecting garbage would take 8 % longer
    # Imported only now, since the standard runtime needs none of it.
    from obscura.api.process import tune_malloc
    from obscura.aws.runtime.concurrency import max_concurrency, redirect_output
    from obscura.aws.runtime.logging import configure_logging

    tune_malloc()
    unreachable = redirect_output(os.environ)
    configure_logging()
    if unreachable is not None:
        logging.getLogger("lambda_runtime").warning("the log socket cannot be used: %s", unreachable.strerror)
    # Powertools reads the root logger's handlers when it is imported.
    from obscura.aws.runtime.api import RuntimeApi
    from obscura.aws.runtime.loop import run

    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    return asyncio.run(run(api, os.environ["_HANDLER"], max_concurrency(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
