"""Float32 matrix products of a training step by torch and by `training.models.products`, interleaved.

OMP_NUM_THREADS=1 python benchmarks/training/products.py
"""

import time
from collections.abc import Callable

import torch

from scaling_lab.training.engine import prepare_process
from scaling_lab.training.models.products import times_transposed, transposed_times

SHAPES = [(640, 16, 64), (640, 32, 128), (640, 64, 256), (896, 104, 416), (4096, 128, 512), (1024, 192, 768)]
ROUNDS = 40


def gflops(products: list[Callable[[], torch.Tensor]], flops: int) -> list[float]:
    """Rate of each product at its quartile of CPU seconds, in 1e9 FLOP/s."""
    seconds: list[list[float]] = [[] for _ in products]
    for _ in range(ROUNDS):
        for product, found in zip(products, seconds, strict=True):
            start = time.process_time()
            product()
            found.append(time.process_time() - start)
    return [flops / sorted(found)[ROUNDS // 4] / 1e9 for found in seconds]


def main() -> None:
    prepare_process(torch.get_num_threads())
    print("tokens, inputs, outputs: forward, gradient of x, gradient of W; GFLOP/s of torch -> ours")
    for tokens, inputs, outputs in SHAPES:
        x, w, g = torch.randn(tokens, inputs), torch.randn(outputs, inputs), torch.randn(tokens, outputs)
        rates = gflops(
            [lambda x=x, w=w: x @ w.t(), lambda x=x, w=w: times_transposed(x, w),
             lambda g=g, w=w: g @ w, lambda g=g, w=w: times_transposed(g, w.t()),
             lambda g=g, x=x: g.t() @ x, lambda g=g, x=x: transposed_times(g, x)],
            2 * tokens * inputs * outputs,
        )  # fmt: skip
        pairs = ", ".join(f"{a:.0f} -> {b:.0f}" for a, b in zip(rates[::2], rates[1::2], strict=True))
        print(f"{tokens}, {inputs}, {outputs}: {pairs}")


if __name__ == "__main__":
    main()
