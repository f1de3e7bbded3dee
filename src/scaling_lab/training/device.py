"""The device a run trains on: its name, its peak rate, and the memory that the process has taken on it."""

import resource
import sys
import time
from functools import lru_cache

import torch

from scaling_lab.science.hardware import device_by_name
from scaling_lab.training.models.products import times_transposed

# A product of this size fits the cache of a core, and is large enough to reach the rate of its arithmetic units.
_SIZE = 512
_REPEATS = 8


def device_name(device: torch.device) -> str:
    """As summary.json names it: `cpu`, or the model of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_flops_per_s(device: torch.device, devices: int) -> float | None:
    """Peak FLOP/s of `devices` devices together: of a CPU measured, of a GPU from the table, None if it is not there.

    On a CPU every process has its own cores, and the rate is that of float32 matrix products on its threads.
    """
    if device.type == "cpu":
        return devices * _measured_matmul_rate()
    known = device_by_name(device_name(device))
    return None if known is None else devices * known.peak_flops


@lru_cache
def _measured_matmul_rate() -> float:
    """The best of some products, in FLOP/s: a shared machine only ever slows one down. About 20 ms."""
    a, b = torch.rand(_SIZE, _SIZE), torch.rand(_SIZE, _SIZE)
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        times_transposed(a, b)
        times.append(time.perf_counter() - start)
    return 2 * _SIZE**3 / min(times)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory taken so far: of a GPU what torch allocated, else the resident set of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
