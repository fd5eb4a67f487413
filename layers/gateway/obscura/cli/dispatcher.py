"""Passes accepted connections to workers, each to the one with the fewest open ones (ADR 147).

A worker's channel is a Unix socket. Over it come a byte when the worker accepts requests and a byte for each connection
that has ended; to it go the connections themselves, as file descriptors (unix(7), ``SCM_RIGHTS``).
"""

import asyncio
import logging
import socket

logger = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before other events of the loop have their turn."""
PAUSE_S = 0.01
"""After a connection that no worker can take now, or that cannot be accepted."""


class Dispatcher:
    """Accepts from a listening socket while at least one worker is there."""

    def __init__(self, listener: socket.socket) -> None:
        """``listener`` becomes non-blocking; it is closed by ``close``."""
        listener.setblocking(False)
        self._listener = listener
        self._open: dict[socket.socket, int] = {}
        self._accepted: socket.socket | None = None
        self._closed = False

    def add(self, channel: socket.socket) -> None:
        """Pass connections to a worker from now on."""
        self._open[channel] = 0
        asyncio.get_running_loop().add_reader(channel, self._note_ends, channel)
        self._resume()

    def remove(self, channel: socket.socket) -> None:
        """Pass no more connections to a worker; one that is not known is none."""
        if self._open.pop(channel, None) is None:
            return
        asyncio.get_running_loop().remove_reader(channel)
        if not self._open:
            self._pause()

    def close(self) -> None:
        """Accept no more connections: new ones are refused."""
        if self._closed:
            return
        self._closed = True
        self._pause()
        self._listener.close()
        if self._accepted is not None:
            self._accepted.close()

    def _note_ends(self, channel: socket.socket) -> None:
        try:
            ended = len(channel.recv(4096))
        except BlockingIOError:
            return
        except ConnectionError:
            ended = 0
        if ended:
            self._open[channel] -= ended
        else:
            self.remove(channel)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                if self._accepted is None:
                    self._accepted, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no more open files
                logger.warning("a connection cannot be accepted: %s", error.strerror)
                self._pause(then_resume=True)
                return
            if not self._pass_on(self._accepted):
                self._pause(then_resume=True)
                return
            self._accepted.close()
            self._accepted = None

    def _pass_on(self, connection: socket.socket) -> bool:
        """Pass it to the worker with the fewest; of several, to the one whose last is the longest ago."""
        for channel in sorted(self._open, key=self._open.__getitem__):
            try:
                socket.send_fds(channel, [b"\x01"], [connection.fileno()])
            except OSError:  # it is full, or its worker has just ended
                continue
            self._open[channel] = self._open.pop(channel) + 1
            return True
        return False

    def _pause(self, *, then_resume: bool = False) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        if then_resume:
            loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._open and not self._closed:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)
