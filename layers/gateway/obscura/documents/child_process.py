"""One child process for one document: started, given the document, read frame by frame, and always ended."""

import math
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from obscura.documents.base import DocumentLimits
from obscura.errors import UnsupportedOperation

_BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv.pop(1)); from child.main import main; main()"
_FLAGS = ("-I", "-S")
"""No environment, no user's packages, no site-packages."""
_KEPT_VARIABLE = "LD_LIBRARY_PATH"
"""Lambda's Python finds its own library by it; nothing else of the environment reaches the child."""


_MAX_WRITE_BYTES = 1 << 20


class ChildEnded(Exception):
    """The child ended before it had said all: it crashed, was killed, or ran out of memory."""


class ChildTimedOut(Exception):
    """The child took longer than the document may take."""


def pdfium_path() -> Path | None:
    """Return where PDFium's library is, without importing the package; None if it is not installed."""
    spec = find_spec("pypdfium2_raw")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    names = {"darwin": "libpdfium.dylib", "win32": "pdfium.dll"}
    paths = [folder / names.get(sys.platform, "libpdfium.so") for folder in folders]
    return next((path for path in paths if path.is_file()), None)


class ChildProcess:
    """A running child; ``kill`` may be called from any thread, all else from the one that made it.

    ``left_s`` counts down while the child is waited for, and not while the caller works on what it has read.
    """

    def __init__(self, request: Sequence[bytes | bytearray | memoryview], limits: DocumentLimits) -> None:
        library = pdfium_path()
        if library is None:
            raise UnsupportedOperation(
                "This gateway reads no PDFs: its operator left PDFium out. Send pages as images."
            )
        arguments = [str(library), str(limits.memory_bytes), str(math.ceil(limits.seconds) + 1)]
        kept = os.environ.get(_KEPT_VARIABLE)
        self._unsent = [memoryview(part).cast("B") for part in request if len(part)]
        self.left_s = limits.seconds
        self._process = subprocess.Popen(  # noqa: S603 our own interpreter, code and numbers
            [sys.executable, *_FLAGS, "-c", _BOOTSTRAP, str(Path(__file__).parent), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={_KEPT_VARIABLE: kept} if kept else {},
            cwd="/",
            start_new_session=True,
        )
        self._poll = select.poll()
        self._stdin, self._stdout = self._descriptor(self._process.stdin), self._descriptor(self._process.stdout)
        self._poll.register(self._stdin, select.POLLOUT)
        self._poll.register(self._stdout, select.POLLIN)

    @staticmethod
    def _descriptor(pipe: object) -> int:
        descriptor: int = pipe.fileno()  # type: ignore[attr-defined]
        os.set_blocking(descriptor, False)
        return descriptor

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the child, if it runs."""
        self._process.kill()

    def close(self) -> None:
        """Kill the child and wait for its end: none is left as a zombie, whatever happened."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def read(self, count: int) -> bytearray:
        """Read ``count`` bytes, sending the rest of the request meanwhile; raises ChildEnded or ChildTimedOut."""
        data = bytearray(count)
        view, at = memoryview(data), 0
        while at < count:
            ready = self._wait()
            if self._stdin in ready:
                self._send()
            if self._stdout in ready:
                received = os.readv(self._stdout, [view[at:]])
                if not received:
                    raise ChildEnded
                at += received
        return data

    def _wait(self) -> set[int]:
        """Return the descriptors that are ready."""
        began_s = monotonic()
        ready = {descriptor for descriptor, _ in self._poll.poll(max(0.0, self.left_s) * 1000)}
        self.left_s -= monotonic() - began_s
        if not ready or self.left_s <= 0:
            raise ChildTimedOut
        return ready

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent[0] = self._unsent[0][os.write(self._stdin, self._unsent[0][:_MAX_WRITE_BYTES]) :]
                if not self._unsent[0]:
                    del self._unsent[0]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent.clear()
        self._poll.unregister(self._stdin)
