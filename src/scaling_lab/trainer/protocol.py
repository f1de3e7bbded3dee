"""The messages between client and server.

The client sends one `Request` with its standard output and error, then one byte per signal to forward. The server
answers with one line when it has forked, and with another when the child has ended.
"""

import json
import os
import signal
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_HEADER = struct.Struct("!I")

# Standard output and error of the client become the child's.
STREAMS = (1, 2)

# Signals that are the run's business: end now, or checkpoint and end.
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class HungUpError(Exception):
    """The other side closed the connection, or died."""


@dataclass(frozen=True)
class Request:
    """Arguments of `training.job.perform`, and what the process that calls it takes over from the client."""

    job: str
    arguments: dict[str, Any]
    folder: str
    umask: int
    environment: dict[str, str]

    @classmethod
    def of_this_process(cls, job: str, arguments: dict[str, Any]) -> Self:
        """The request of the process that calls."""
        umask = os.umask(0o077)
        os.umask(umask)
        return cls(job, arguments, str(Path.cwd()), umask, dict(os.environ))

    def to_bytes(self) -> bytes:
        """Inverse of `from_bytes`."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `to_bytes`."""
        return cls(**json.loads(data))


def send_request(connection: socket.socket, request: Request) -> None:
    """Send a request with this process's standard output and error."""
    data = request.to_bytes()
    socket.send_fds(connection, [_HEADER.pack(len(data))], STREAMS)
    connection.sendall(data)


def receive_request(connection: socket.socket) -> tuple[Request, list[int]]:
    """The request and the two streams that came with it.

    Raises:
        HungUpError: the client is gone.
    """
    header, streams, _, _ = socket.recv_fds(connection, _HEADER.size, len(STREAMS))
    if len(header) < _HEADER.size or len(streams) < len(STREAMS):
        raise HungUpError
    (size,) = _HEADER.unpack(header)
    return Request.from_bytes(_receive(connection, size)), streams


def send_line(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send one JSON line."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive_line(connection: socket.socket) -> dict[str, Any]:
    """Receive one JSON line, however long that takes.

    Raises:
        HungUpError: the server is gone.
    """
    line = b""
    while not line.endswith(b"\n"):
        line += _receive(connection, 1)
    message: dict[str, Any] = json.loads(line)
    return message


def _receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes."""
    data = b""
    while len(data) < size:
        try:
            part = connection.recv(size - len(data))
        except ConnectionResetError:
            part = b""
        if not part:
            raise HungUpError
        data += part
    return data
