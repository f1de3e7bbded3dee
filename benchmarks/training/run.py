"""Tokens per second of our engine and of its peers, over a ladder of sizes, interleaved in one run.

OMP_NUM_THREADS=1 python benchmarks/training/run.py [--seconds 1] [--rounds 7] [--sizes 4]
"""

import argparse
import hashlib
import json
import multiprocessing
import platform
import statistics
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from loops import BARE, COMPILED, CUDA, OURS, clock, engines, run_spec
from peers import Size

from scaling_lab.training.models.products import times_transposed

# Sizes of the default study at its batches, then two larger ones; on a GPU 1e5 to 1e9 parameters.
CPU_LADDER = [
    Size(1, 8, 1, 640, 128, 1024),
    Size(1, 16, 1, 640, 128, 1024),
    Size(1, 32, 2, 640, 128, 1024),
    Size(2, 64, 4, 896, 128, 1024),
    Size(2, 104, 4, 896, 128, 1024),
    Size(4, 128, 4, 4096, 128, 1024),
    Size(6, 192, 6, 1024, 128, 1024),
]
GPU_LADDER = [
    Size(2, 64, 4, 16384, 1024, 50304),
    Size(4, 128, 4, 32768, 1024, 50304),
    Size(6, 384, 6, 65536, 1024, 50304),
    Size(12, 768, 12, 65536, 1024, 50304),
    Size(24, 1024, 16, 32768, 1024, 50304),
    Size(24, 1792, 14, 16384, 1024, 50304),
]
PEAK_SIDE = 4096 if CUDA else 1024


def peak_flops() -> float:
    """FLOP/s of the best of many square matrix products, in the precision that is trained in."""
    a, b = (torch.randn(PEAK_SIDE, PEAK_SIDE, device="cuda" if CUDA else "cpu") for _ in range(2))
    if CUDA:
        a, b = a.bfloat16(), b.bfloat16()
    seconds = []
    for _ in range(30):
        start = clock()
        times_transposed(a, b)
        seconds.append(clock() - start)
    return 2 * PEAK_SIDE**3 / min(seconds)


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def write_store(folder: Path, tokens: int, vocab_size: int, evaluated: Sequence[str] = ("validation",)) -> None:
    """Random tokens as a token store: speed does not depend on what they say."""
    sets = {}
    for name, count in (("train", tokens), *((name, 2**17) for name in evaluated)):
        values = np.random.default_rng(0).integers(0, vocab_size, count).astype("<u2")
        (folder / f"{name}.bin").write_bytes(values.tobytes())
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        shard = {"file": f"{name}.bin", "tokens": count, "documents": 1, "sha256": digest}
        sets[name] = {"shards": [shard], "bytes_per_token": 3.0}
    content = {"vocab_size": vocab_size, "end_of_text": 0, "dtype": "uint16", "sets": sets}
    (folder / "manifest.json").write_text(json.dumps(content))


def worker(engine: str, size: Size, folder: Path, orders: Connection) -> None:
    """A process of one engine: what one sets in its process, such as the allocator, does not speed up another."""
    loop = engines()[engine](size, folder)
    while steps := orders.recv():
        orders.send(loop(steps))


def measure(size: Size, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of every engine, one value for each round."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        write_store(Path(name), 640 * size.batch_tokens, size.vocab_size)
        lines: dict[str, Connection] = {}
        for engine in engines():
            lines[engine], theirs = spawn.Pipe()
            spawn.Process(target=worker, args=(engine, size, Path(name), theirs), daemon=True).start()
            theirs.close()  # so that a worker that dies is an EOFError here and not a wait for ever
        steps = min(512, max(16, round(seconds / order(lines[BARE], 3))))
        found = [{engine: order(line, steps) for engine, line in lines.items()} for _ in range(rounds + 1)]
        for line in lines.values():
            line.send(0)
    return {engine: [values[engine] for values in found[1:]] for engine in lines}  # the first round warms up


def order(line: Connection, steps: int) -> float:
    line.send(steps)
    result: float = line.recv()
    return result


def report(size: Size, found: dict[str, list[float]], peak: float) -> str:
    """One line of the README's table: thousand tokens per second, and ratios by round."""
    seconds = {engine: statistics.median(values) for engine, values in found.items()}
    flops = run_spec(size, 1).flops("matmul") / seconds[OURS]
    overhead = statistics.median(a / b for a, b in zip(found[OURS], found[BARE], strict=True)) - 1
    gain = statistics.median(a / b for a, b in zip(found[OURS], found[COMPILED], strict=True))
    peers = [engine for engine in found if engine not in (OURS, COMPILED, BARE)]
    fastest = [min(values) for values in zip(*(found[peer] for peer in peers), strict=True)]
    ratio = statistics.median(best / a for best, a in zip(fastest, found[OURS], strict=True))
    rates = " | ".join(f"{size.batch_tokens / value / 1e3:.3g}" for value in seconds.values())
    params = run_spec(size, 1).architecture.shape.params_non_embedding
    name = f"{size.n_layer} x {size.d_model}"
    return f"| {name} | {params:.2g} | {rates} | {ratio:.2f} | {overhead:+.1%} | {gain:.2f} | {flops / peak:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one engine in one round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="*", help="positions in the ladder (default: all)")
    arguments = parser.parse_args()
    ladder = GPU_LADDER if CUDA else CPU_LADDER
    peak = peak_flops()
    device = torch.cuda.get_device_name() if CUDA else f"{cpu_name()}, {torch.get_num_threads()} thread"
    print(f"{device}, torch {torch.__version__}, peak {peak / 1e9:.0f} GFLOP/s; thousand tokens per second")
    rates, ratios = " | ".join(engines()), "to the fastest peer | Lightning | compiling gains | share of peak"
    print(f"| layers x width | N | {rates} | {ratios} |")
    print("|---|---|" + "---|" * (len(engines()) + 4))
    for index in arguments.sizes if arguments.sizes is not None else range(len(ladder)):
        print(report(ladder[index], measure(ladder[index], arguments.seconds, arguments.rounds), peak), flush=True)


if __name__ == "__main__":
    main()
