import torch

from scaling_lab.training.device import device_name, peak_flops_per_s, peak_memory_bytes

CPU = torch.device("cpu")


def test_the_peak_of_a_cpu_is_measured_once_and_no_product_is_faster() -> None:
    peak = peak_flops_per_s(CPU, 1)
    assert peak is not None
    assert 1e8 < peak < 1e15
    assert peak_flops_per_s(CPU, 2) == 2 * peak
    assert device_name(CPU) == "cpu"


def test_memory_grows_with_what_is_allocated() -> None:
    before = peak_memory_bytes(CPU)
    block = torch.ones(before // 8)  # half as much again
    assert peak_memory_bytes(CPU) >= before
    assert 10e6 < before < 100e9
    assert peak_memory_bytes(CPU) >= block.nbytes
