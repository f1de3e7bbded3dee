"""How far Approach 2 can be trusted: the bias of the grid that was trained, and the largest budget predicted unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scaling_lab.fits.options import FitOptions
from scaling_lab.fits.output import reason_of
from scaling_lab.fits.stored import SURFACES
from scaling_lab.fits.table import RunTable
from scaling_lab.science.backtest import backtest_isoflop
from scaling_lab.science.comparison import Form, fit_form
from scaling_lab.science.grid_extension import missing_sizes
from scaling_lab.science.isoflop import Profile, TokenCost
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.refusal import FitRefusedError
from scaling_lab.science.shapes import ShapeFamily
from scaling_lab.science.valley import grid_bias


def grid_biases(
    profiles: Sequence[Profile], cost: TokenCost, variables: Mapping[str, Array], loss: Array, options: FitOptions
) -> dict[str, Any]:
    """By law of L(N, D), fitted to all runs: where parabolas on these sizes would put the minima if it were exact.

    `ratio` is found over true N* per budget; `exponent_shift` is to be taken off the measured a (papers.md E.9).
    """
    return {name: _grid_bias(profiles, cost, Form(LAWS[name], variables), loss, options) for name in SURFACES}


def _grid_bias(
    profiles: Sequence[Profile], cost: TokenCost, form: Form, loss: Array, options: FitOptions
) -> dict[str, Any]:
    try:
        surface = fit_form(form, loss, options.fitting_objective)
        bias = grid_bias(profiles, form.law, surface.parameters, cost)
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal)}
    return {
        "status": "ok",
        "reason": None,
        "flops": bias.flops,
        "ratio": bias.ratio,
        "exponent_found": bias.exponent_found,
        "exponent_true": bias.exponent_true,
        "exponent_shift": bias.exponent_shift,
    }


def next_cells(profiles: Sequence[Profile], table: RunTable, options: FitOptions) -> list[dict[str, Any]]:
    """What the grid lacks, as blocks to add to the study: the budget, shapes of the study's proportions, their tokens.

    Empty where every budget has five sizes, two on each side of its minimum, and for a study without Transformers:
    nothing continues its shapes.
    """
    if not table.has_transformers:
        return []
    family = ShapeFamily(table.shapes(), options.params_convention, options.flops_convention)
    blocks = []
    for missing in missing_sizes(profiles):
        shapes = {(s.n_layer, s.d_model): s for s in map(family.nearest, missing.params)}
        tokens = [missing.flops / shape.flops_per_token(options.flops_convention) for shape in shapes.values()]
        blocks.append(
            {
                "budgets": [missing.flops],
                "flops": options.flops_convention,
                "shapes": [list(pair) for pair in shapes],
                "params": [shape.params(options.params_convention) for shape in shapes.values()],
                "tokens": tokens,
                "centre": missing.centre,
                "reason": missing.reason,
            }
        )
    return blocks


def largest_budget_backtest(profiles: Sequence[Profile], cost: TokenCost, options: FitOptions) -> dict[str, Any]:
    """N* of the largest budget with a usable minimum, predicted by the power law through those of the others."""
    try:
        prediction = backtest_isoflop(profiles, cost, options.departing)
    except FitRefusedError as refusal:
        return {"status": "refused", "reason": reason_of(refusal)}
    return {
        "status": "ok",
        "reason": None,
        "flops": profiles[prediction.held_out[0]].flops,
        "measured": prediction.measured[0],
        "predicted": prediction.predicted[0],
        "relative_error": prediction.relative_error[0],
        "interval": {"level": prediction.level, "low": prediction.low[0], "high": prediction.high[0]},
        "inside": prediction.coverage == 1,
    }
