"""The thin side of `scaling-lab train`: has a run trained by the server, and ends as the run ended.

Imports neither torch nor Lightning.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from scaling_lab.errors import TrainingError
from scaling_lab.trainer.address import folder_lock, log_of, server_address
from scaling_lab.trainer.identity import code_digest
from scaling_lab.trainer.protocol import FORWARDED, HungUpError, Request, receive_line, send_request

# `SCALING_LAB_TRAINER=off` trains in the command's own process: for a debugger or a profiler.
SWITCH = "SCALING_LAB_TRAINER"

# A server may leave between our look and our call, or see that the code was edited while it started.
ATTEMPTS = 3

GO_ON = "run the same command again: training goes on from the last checkpoint"


def should_serve(arguments: dict[str, Any]) -> bool:
    """Whether a job goes to a server: on Linux, outside a step of SLURM, for one process, unless switched off.

    The processes of a step end with it, and would take along a server that others use. The runs of a pack are no
    steps (rule `train`): they share the server of their SLURM job. Elsewhere fork without exec is unsafe.
    """
    alone = arguments.get("devices", 1) == arguments.get("nodes", 1) == 1
    in_step, off = "SLURM_STEP_ID" in os.environ, os.environ.get(SWITCH) == "off"
    return sys.platform == "linux" and alone and not in_step and not off


def run_on_server(job: str, arguments: dict[str, Any]) -> int | None:
    """Have the server, started when missing, call `training.job.perform` with these arguments.

    Returns:
        The exit status of the run; None where no server can be had.

    Raises:
        TrainingError: the process that trained was killed, or its server was.
    """
    request = Request.of_this_process(job, arguments)
    for _ in range(ATTEMPTS):
        address = server_address()
        if address is None:
            return None
        with _connect(address) as connection:
            try:
                send_request(connection, request)
                child = receive_line(connection)["pid"]
            except (HungUpError, BrokenPipeError, ConnectionResetError):
                continue
            return _wait(connection, child)
    return None


def _connect(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except (FileNotFoundError, ConnectionRefusedError):
        with folder_lock(address):
            try:
                connection.connect(str(address))  # another command was faster
            except (FileNotFoundError, ConnectionRefusedError):
                _start_server(address)
                connection.connect(str(address))
    return connection


def _start_server(address: Path) -> None:
    """Bind here and hand the listening socket over: commands queue on it while the server still imports."""
    address.unlink(missing_ok=True)  # of a server that was killed
    with socket.socket(socket.AF_UNIX) as listener, log_of(address).open("wb") as log:
        listener.bind(str(address))
        listener.listen(socket.SOMAXCONN)
        subprocess.Popen(
            [sys.executable, "-m", "scaling_lab.trainer.server", str(address), str(listener.fileno()), code_digest()],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(connection: socket.socket, child: int) -> int:
    """Forward signals until the run ends; its exit status."""
    forwarded: set[int] = set()

    def forward(number: int, frame: FrameType | None) -> None:
        forwarded.add(number)
        with suppress(OSError):  # the server is gone, which `receive_line` will say
            connection.sendall(bytes([number]))

    for number in FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, forward)
    try:
        ending = receive_line(connection)
    except HungUpError:
        reason = f"the trainer server was killed, and with it process {child}, which trained"
        raise TrainingError(f"{reason}; {GO_ON}") from None
    return _exit_status(ending, child, forwarded)


def _exit_status(ending: dict[str, Any], child: int, forwarded: set[int]) -> int:
    status: int = ending["status"]
    if status >= 0:
        return status
    if -status not in forwarded:
        cause = ", most often because memory ran out" if -status == signal.SIGKILL else ""
        raise TrainingError(
            f"process {child}, which trained, was killed by {signal.Signals(-status).name}{cause}"
            f" (it used at most {ending['max_rss_mb']} MB); {GO_ON}"
        )
    return 128 - status
