"""Two threads for one run against two runs of one thread each, by the wall clock, over the ladder of sizes.

python benchmarks/training/threads.py [--seconds 4] [--rounds 3]     (on two free cores)
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from loops import prepare_bare
from peers import Size
from run import CPU_LADDER, write_store

CORES = 2


def worker(threads: int, size: Size, folder: Path, orders: Connection) -> None:
    """Our model in a process of some threads: wall seconds per step, for each order of steps."""
    torch.set_num_threads(threads)
    loop = prepare_bare(size, folder)
    while steps := orders.recv():
        start = time.perf_counter()
        loop(steps)
        orders.send((time.perf_counter() - start) / steps)


def together(lines: list[Connection], steps: int) -> float:
    """Wall seconds per step of workers that run at the same time."""
    for line in lines:
        line.send(steps)
    return statistics.mean(line.recv() for line in lines)


def measure(size: Size, seconds: float, rounds: int) -> tuple[float, float, float]:
    """Steps per second of one run of one thread, of one of two threads, and of two of one thread each."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        write_store(Path(name), 640 * size.batch_tokens, size.vocab_size)
        lines = []
        for threads in (1, 1, CORES):
            line, theirs = spawn.Pipe()
            spawn.Process(target=worker, args=(threads, size, Path(name), theirs), daemon=True).start()
            lines.append(line)
        steps = max(4, round(seconds / together(lines[:1], 3)))
        groups = (lines[:1], lines[2:], lines[:2])
        found = [[together(group, steps) for group in groups] for _ in range(rounds + 1)][1:]
        for line in lines:
            line.send(0)
    alone, threaded, beside = (statistics.median(values) for values in zip(*found, strict=True))
    return 1 / alone, 1 / threaded, CORES / beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(
        "| layers x width | tokens a step | two threads to one | two runs at once to one | the former to the latter |"
    )
    print("|---|---|---|---|---|")
    for size in CPU_LADDER:
        alone, threaded, beside = measure(size, arguments.seconds, arguments.rounds)
        ratios = f"{threaded / alone:.2f} | {beside / alone:.2f} | {threaded / beside:.2f}"
        print(f"| {size.n_layer} x {size.d_model} | {size.batch_tokens:,} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
