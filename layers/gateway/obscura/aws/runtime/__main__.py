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
    from obscura.aws.runtime.log_lines import write_log_lines
    from obscura.web.allocator import keep_large_buffers

    keep_large_buffers()
    write_log_lines()
    # Powertools looks at the root logger when it is imported.
    from obscura.aws.runtime.api import RuntimeApi
    from obscura.aws.runtime.life import live

    return asyncio.run(live(RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"]), os.environ["_HANDLER"]))


if __name__ == "__main__":
    sys.exit(main())
