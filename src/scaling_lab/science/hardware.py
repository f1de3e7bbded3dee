"""Devices by name: from device-hours to training FLOPs and from FLOPs to wall time.

The peaks are the makers' figures for dense BF16 matrix products. The data sheets print the figures with 2:4 sparsity,
which training does not use, and say that those without are half of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UTILISATION = 0.4
"""Share of the peak that model FLOPs reach: an assumption, not a measurement. Published runs of large dense models
report 0.46 (Chowdhery et al. 2022, PaLM) to 0.56 (Megatron-LM, its best); small models reach less."""


@dataclass(frozen=True)
class Device:
    """A device and its peak in dense BF16 FLOP/s, with the document that states it."""

    name: str
    peak_flops: float
    source: str


_DEVICES = (
    Device("a100", 312e12, "NVIDIA A100 data sheet: BFLOAT16 312 TFLOPS, 624 with sparsity"),
    Device("h100-sxm", 1979e12 / 2, "NVIDIA H100 data sheet, SXM5: BFLOAT16 1,979 TFLOPS with sparsity, half without"),
    Device("h200", 1979e12 / 2, "NVIDIA H200 data sheet, SXM: BFLOAT16 1,979 TFLOPS with sparsity, half without"),
    Device("h100-pcie", 1513e12 / 2, "NVIDIA H100 data sheet, PCIe: BFLOAT16 1,513 TFLOPS with sparsity, half without"),
)

DEVICES: Mapping[str, Device] = {device.name: device for device in _DEVICES}
"""Every device by name; any other is given by its peak."""


def device_by_name(product: str) -> Device | None:
    """The device that a driver calls `product`, such as "NVIDIA H100 80GB HBM3"; None for one that is not listed."""
    words = product.lower().replace("-", " ").split()
    if "h100" in words:  # there is a third kind, NVL, of another peak
        variant = {"pcie": "h100-pcie", "hbm3": "h100-sxm"}
        return next((DEVICES[name] for word, name in variant.items() if word in words), None)
    return next((device for name, device in DEVICES.items() if name in words), None)


@dataclass(frozen=True)
class Hardware:
    """`count` devices of `peak_flops` FLOP/s each, of which training reaches the share `utilisation`.

    Raises:
        ValueError: a peak or count that is not positive, or a utilisation outside (0, 1].
    """

    peak_flops: float
    source: str
    utilisation: float = UTILISATION
    count: int = 1

    def __post_init__(self) -> None:
        if not self.peak_flops > 0:
            raise ValueError(f"peak is {self.peak_flops}; allowed: a positive number of FLOP/s")
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"utilisation is {self.utilisation}; allowed: above 0, at most 1")
        if self.count < 1:
            raise ValueError(f"devices is {self.count}; allowed: 1 or more")

    def flops(self, device_hours: float) -> float:
        """Training FLOPs of that many hours of one device."""
        return device_hours * 3600 * self.peak_flops * self.utilisation

    def wall_seconds(self, flops: float) -> float:
        """Seconds that all devices together take for `flops` training FLOPs."""
        return flops / (self.peak_flops * self.utilisation * self.count)
