"""The forking server: imports Lightning once, then forks a child for each run that a client asks for.

Single-threaded, and it does no torch operation before a fork, so that a child starts as a fresh process would. The
name of its socket says what it serves (`identity`); it leaves after some idle seconds.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from scaling_lab.trainer.address import folder_lock, log_of
from scaling_lab.trainer.child import become
from scaling_lab.trainer.identity import code_digest
from scaling_lab.trainer.protocol import HungUpError, receive_request, send_line

# Seconds without a run after which the server leaves, and the variable that says otherwise.
IDLE_SECONDS = 30.0
IDLE_VARIABLE = "SCALING_LAB_TRAINER_IDLE_SECONDS"

# Seconds that a client may take to send its request: it sends it at once, or is stopped or dead.
REQUEST_SECONDS = 10

# What a run imports; pyarrow imports the last two itself when it first makes a table.
PRELOADED = ("scaling_lab.training.job", "pandas", "pyarrow.compute")


class Server:
    """Listens at `address`; `loaded` are the variables that importing the libraries set."""

    def __init__(self, address: Path, listener: socket.socket, loaded: dict[str, str], idle_seconds: float) -> None:
        self.address, self.listener, self.loaded, self.idle_seconds = address, listener, loaded, idle_seconds
        self.listener.setblocking(False)
        self.clients: dict[int, socket.socket] = {}  # by process id of the child
        self.leaving = False
        self._inode = address.stat().st_ino
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._child_ended, self._on_child = socket.socketpair()
        self._on_child.setblocking(False)
        signal.set_wakeup_fd(self._on_child.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._child_ended, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until nothing has run for `idle_seconds`."""
        while self.clients or not self.leaving:
            events = self._selector.select(None if self.clients else self.idle_seconds)
            for key, _ in events:
                self._handle(key)
            self._reap()
            if not (events or self.clients or self.leaving):
                self._leave()

    def _handle(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj is self._child_ended:
            self._child_ended.recv(4096)
        else:
            self._forward(key.data)

    def _accept(self) -> None:
        """Fork a child for the next client in the queue."""
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:
            return
        connection.settimeout(REQUEST_SECONDS)
        try:
            request, streams = receive_request(connection)
        except (HungUpError, OSError):
            connection.close()
            return
        server, child = os.getpid(), os.fork()
        if child == 0:
            self._give_up(connection)
            become(request, streams, self.loaded, server)
        for stream in streams:
            os.close(stream)
        self.clients[child] = connection
        self._selector.register(connection, selectors.EVENT_READ, data=child)
        self._tell(child, {"pid": child})

    def _give_up(self, connection: socket.socket) -> None:
        """In a child: close what is the server's, so that nobody waits for it on our account."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for other in (self.listener, self._child_ended, self._on_child, connection, *self.clients.values()):
            other.close()

    def _forward(self, child: int) -> None:
        """Pass on the client's signals. A client that was killed takes its run with it."""
        try:
            numbers = self.clients[child].recv(64)
        except OSError:
            numbers = b""
        with suppress(ProcessLookupError):
            for number in numbers:
                os.kill(child, number)
            if not numbers:
                self._selector.unregister(self.clients[child])
                os.killpg(child, signal.SIGKILL)

    def _reap(self) -> None:
        """Tell the clients of children that have ended how."""
        for child in list(self.clients):
            ended, status, usage = os.wait4(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                self._tell(child, {"status": code, "max_rss_mb": usage.ru_maxrss // 1024})
                connection = self.clients.pop(child)
                with suppress(KeyError):  # that of a client that was killed is no longer registered
                    self._selector.unregister(connection)
                connection.close()

    def _tell(self, child: int, message: dict[str, object]) -> None:
        with suppress(OSError):  # the client was killed
            send_line(self.clients[child], message)

    def _leave(self) -> None:
        """Take the name away, then serve the client, if any, that had found it just before."""
        self.leaving = True
        with folder_lock(self.address), suppress(FileNotFoundError):
            if self.address.stat().st_ino == self._inode:
                self.address.unlink()
                log_of(self.address).unlink()
        self._accept()


def main() -> None:
    """Serve on the socket whose path and number the command line gives, unless the code is no longer the named one."""
    address, listener, digest = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), sys.argv[3]
    before = dict(os.environ)
    for name in PRELOADED:
        import_module(name)
    if code_digest() != digest:
        sys.exit("the code was edited while the server started; the clients start another")
    loaded = {key: value for key, value in os.environ.items() if before.get(key) != value}
    os.chdir("/")
    gc.collect()
    gc.freeze()  # the children never look at these objects, so that their pages stay shared
    Server(address, listener, loaded, float(os.environ.get(IDLE_VARIABLE, IDLE_SECONDS))).serve()


if __name__ == "__main__":
    main()
