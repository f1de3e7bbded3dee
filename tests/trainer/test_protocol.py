import os
import socket
import threading
from pathlib import Path

import pytest

from scaling_lab.trainer.protocol import HungUpError, Request, receive_line, receive_request, send_line, send_request


def test_a_request_arrives_with_its_streams_however_large_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARGE", "x" * 100_000)
    request = Request.of_this_process("train", {"spec": "a/spec.json", "threads": 2})
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    sender = threading.Thread(target=send_request, args=(ours, request))
    sender.start()
    received, streams = receive_request(theirs)
    sender.join()
    assert received == request
    assert received.environment["LARGE"] == "x" * 100_000
    assert [os.fstat(stream).st_ino for stream in streams] == [os.fstat(stream).st_ino for stream in (1, 2)]
    for stream in streams:
        os.close(stream)


def test_a_client_that_dies_in_the_middle_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b"\x00\x00\x00\xff"], (1, 2))
    ours.sendall(b'{"spec":')
    ours.close()
    with pytest.raises(HungUpError):
        receive_request(theirs)


def test_lines_arrive_one_by_one() -> None:
    ours, theirs = socket.socketpair()
    send_line(ours, {"pid": 7})
    send_line(ours, {"status": -9})
    ours.close()
    assert [receive_line(theirs), receive_line(theirs)] == [{"pid": 7}, {"status": -9}]
    with pytest.raises(HungUpError):
        receive_line(theirs)
