"""The tables of README.md from results.jsonl: trunk + cooldowns against cosine runs with the best rate of each cell.

python benchmarks/schedules/table.py
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from run import HORIZONS, RESULTS, SIZES

from scaling_lab.science.fitting import Objective, fit_law
from scaling_lab.science.laws import LAWS
from scaling_lab.science.refusal import FitRefusedError

Recipe = tuple[str, float, float, str]
Cell = tuple[str, int, int]
"""(size, tokens, seed)"""

ROWS: list[dict[str, Any]] = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def cells(recipe: Recipe) -> dict[Cell, float]:
    """Losses of a trunk's recipe by cell."""
    schedule, multiple, share, shape = recipe
    return {
        cell(row): row["loss"]
        for row in ROWS
        if (row["schedule"], row["multiple"], *row["cooldown"]) == (schedule, multiple, share, shape)
    }


def cell(row: dict[str, Any]) -> Cell:
    return row["size"], row["tokens"], row["seed"]


def best_cosine() -> dict[Cell, tuple[float, float]]:
    """(Loss, rate) of the cosine run with the best rate of each cell: tuned on what it is judged by."""
    best: dict[Cell, tuple[float, float]] = {}
    for row in ROWS:
        if row["schedule"] == "cosine":
            best[cell(row)] = min(best.get(cell(row), (np.inf, 0.0)), (row["loss"], row["multiple"]))
    return best


def recipes() -> list[Recipe]:
    return sorted({(r["schedule"], r["multiple"], *r["cooldown"]) for r in ROWS if r["schedule"] != "cosine"})


def cost(share: float) -> float:
    """Tokens of a trunk and its cooldowns over those of single runs (papers.md D.4)."""
    return ((1 - share) * max(HORIZONS) + share * sum(HORIZONS)) / sum(HORIZONS)


def lines() -> Iterator[str]:
    """The table of losses: cosine in nats (and its rate), then the gap of each trunk in per cent."""
    cosine = best_cosine()
    yield "| size, seed | " + " | ".join(f"{tokens / 1e6:.3g} M" for tokens in HORIZONS) + " | cost |"
    yield "|---|" + "---|" * (len(HORIZONS) + 1)
    for size, seed in sorted({(size, seed) for size, _, seed in cosine}):
        found = [cosine.get((size, tokens, seed)) for tokens in HORIZONS]
        text = " | ".join(f"{run[0]:.3f} ({run[1]:g})" if run else "" for run in found)
        yield f"| **{size}, {seed}**: cosine, its best rate | {text} | 1 |"
        for recipe in recipes():
            losses = cells(recipe)
            if (size, HORIZONS[-1], seed) in losses:
                gaps = " | ".join(gap(losses, cosine, (size, tokens, seed)) for tokens in HORIZONS)
                yield f"| {name(recipe)} | {gaps} | {cost(recipe[2]):.2f} |"


def gap(losses: dict[Cell, float], cosine: dict[Cell, tuple[float, float]], where: Cell) -> str:
    if where not in losses or where not in cosine:
        return ""
    return f"{100 * (losses[where] / cosine[where][0] - 1):+.2f} %"


def name(recipe: Recipe) -> str:
    schedule, multiple, share, shape = recipe
    return f"{schedule}, rate {multiple:g}, cooldown {share:g} {shape}"


def exponents(losses: dict[Cell, float]) -> str:
    """-d ln L / d ln D of each size by least squares over the horizons, then Hoffmann's alpha and beta of all cells."""
    slopes = []
    for size in SIZES:
        points = [(np.log(tokens), np.log(loss)) for (of, tokens, seed), loss in losses.items() if of == size]
        slopes.append(f"{-np.polyfit(*np.array(points).T, 1)[0]:.4f}")
    return f"{' | '.join(slopes)} | {_hoffmann(losses)}"


def _hoffmann(losses: dict[Cell, float]) -> str:
    sizes = {size: 12 * n_layer * d_model**2 for size, (n_layer, d_model, _) in SIZES.items()}
    variables = {
        "N": np.array([sizes[size] for size, _, _ in losses], dtype=np.float64),
        "D": np.array([tokens for _, tokens, _ in losses], dtype=np.float64),
    }
    try:
        fit = fit_law(LAWS["hoffmann"], variables, np.array(list(losses.values())), Objective("squares"))
    except FitRefusedError as refusal:
        return f"refused: {refusal}"
    return f"{fit.parameters['alpha']:.3f}, {fit.parameters['beta']:.3f}"


def main() -> None:
    print("\n".join(lines()))
    cosine = {where: loss for where, (loss, _) in best_cosine().items()}
    print("\n| slope of L(D) | " + " | ".join(SIZES) + " | Hoffmann's alpha, beta |\n|---|---|---|---|---|")
    print(f"| cosine, best rates | {exponents(cosine)} |")
    for recipe in recipes():
        losses = {where: loss for where, loss in cells(recipe).items() if where in cosine}
        if len({size for size, _, _ in losses}) == len(SIZES):
            print(f"| {name(recipe)} | {exponents(losses)} |")


if __name__ == "__main__":
    main()
