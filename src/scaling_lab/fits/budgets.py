"""A budget as users give it: FLOPs, or hours of a device."""

from __future__ import annotations

import math

from scaling_lab.errors import ConfigError
from scaling_lab.science.hardware import DEVICES, Hardware


def hardware_of(device: str | None, peak_flops: float | None, utilisation: float, count: int) -> Hardware | None:
    """The hardware that options describe; None without a device. Raises ConfigError."""
    if device is None and peak_flops is None:
        return None
    if device is not None and device not in DEVICES:
        raise ConfigError(f"--device {device!r}; allowed: {', '.join(DEVICES)}, or any by --peak-flops")
    entry = DEVICES[device] if device is not None else None
    try:
        if peak_flops is not None:
            return Hardware(peak_flops, "given", utilisation, count)
        return Hardware(entry.peak_flops, entry.source, utilisation, count) if entry else None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def budget_flops(flops: float | None, device_hours: float | None, hardware: Hardware | None) -> float:
    """Training FLOPs. Raises ConfigError unless exactly one budget is given and can be converted."""
    if (flops is None) == (device_hours is None):
        raise ConfigError("a plan takes one budget: --flops, or --gpu-hours with --device or --peak-flops")
    if device_hours is not None:
        if hardware is None:
            allowed = f"--device ({', '.join(DEVICES)}) or --peak-flops"
            raise ConfigError(f"--gpu-hours {device_hours:g} needs a device: {allowed}")
        budget = hardware.flops(device_hours)
    else:
        budget = float(flops or 0.0)
    if not (budget > 0 and math.isfinite(budget)):
        raise ConfigError(f"the budget is {budget:g} FLOPs; allowed: a positive, finite number")
    return budget
