"""After the fork: the child becomes the client's process in all but its id, trains, and ends."""

import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import NoReturn

from scaling_lab.errors import reported_errors
from scaling_lab.processes import signal_when_parent_dies
from scaling_lab.trainer.protocol import FORWARDED, STREAMS, Request


def become(request: Request, streams: list[int], loaded: Mapping[str, str], server: int) -> NoReturn:
    """Take over what `request` brings, train, and end the process with the status that a command would have.

    Args:
        request: from the client.
        streams: its standard output and error.
        loaded: variables that importing the libraries set, as it would have in the client's process.
        server: process id of the parent: the run ends with it.
    """
    status = 1
    try:
        _end_with(server)
        _take_over(request, streams, loaded)
        from scaling_lab.training.job import perform  # the server has it: here the client can import this module

        with reported_errors():
            perform(request.job, request.arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # as Python ends by itself
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        _end(status)


def _end_with(server: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies."""
    signal_when_parent_dies()
    if os.getppid() != server:
        os._exit(1)


def _take_over(request: Request, streams: list[int], loaded: Mapping[str, str]) -> None:
    os.setpgid(0, 0)  # so that the server can end this process with all that it starts
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for stream, target in zip(streams, STREAMS, strict=True):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request.folder)
    os.umask(request.umask)
    os.environ.clear()
    os.environ.update({**loaded, **request.environment})


def _end(status: int) -> NoReturn:
    """End at once: taking down an interpreter that holds torch costs a tenth of a second for nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
