"""Every law of the registry can be fitted: noise-free data return the planted constants (papers.md F16)."""

from collections.abc import Mapping

import numpy as np
import pytest

from scaling_lab.science.accounting import PF_DAY
from scaling_lab.science.fitting import fit_law
from scaling_lab.science.laws import LAWS, Array
from scaling_lab.science.published import PUBLISHED


def grid(**values: Array) -> dict[str, Array]:
    """Every combination of the values."""
    meshes = np.meshgrid(*values.values(), indexing="ij")
    return {name: mesh.ravel() for name, mesh in zip(values, meshes, strict=True)}


SIZES, TOKENS = np.geomspace(1e6, 1e9, 6), 22e9 / 4.0 ** np.arange(7)
PLANTED: Mapping[str, tuple[Mapping[str, float], dict[str, Array]]] = {
    "power": (PUBLISHED["kaplan_compute"].values, grid(X=np.geomspace(1e-6, 1, 8) * PF_DAY)),
    "power_offset": ({"E": 1.7, "Xc": 5e9, "alpha": 0.3}, grid(X=np.geomspace(1e5, 1e9, 9))),
    "logarithm": (PUBLISHED["kaplan_logarithm"].values, grid(X=np.geomspace(1e4, 1e10, 8))),
    "bnsl": (
        {"E": 0.8, "b": 12.0, "c0": 0.08, "c1": 0.3, "d1": 3e6, "f1": 0.4},
        grid(X=np.geomspace(1e3, 1e11, 40)),
    ),
    "position": ({"E_T": 2.3, "k": 5.4, "p": 0.62}, grid(T=np.geomspace(1, 1024, 11))),
    "kaplan": (PUBLISHED["kaplan"].values, grid(N=SIZES, D=TOKENS)),
    "kaplan_symmetric": (
        {"Nc": 3e11, "Dc": 8e11, "alpha_N": 0.35, "alpha_D": 0.5, "beta": 0.3},
        grid(N=SIZES, D=TOKENS),
    ),
    "hoffmann": (PUBLISHED["besiroglu"].values, grid(N=SIZES, D=TOKENS)),
    "gadre": ({"E": 1.8, "a": 150.0, "b": 250.0, "eta": 0.16}, grid(N=SIZES, D=TOKENS)),
    "data_constrained": (
        PUBLISHED["muennighoff"].values,
        grid(N=np.geomspace(1e7, 1e10, 6), D=np.geomspace(1e9, 1e12, 6), U=np.array([1e8, 1e9, 1e10])),
    ),
    "kaplan_steps": (PUBLISHED["kaplan_steps"].values, grid(N=SIZES, S=np.geomspace(3e3, 2.5e5, 7))),
    "critical_batch": (PUBLISHED["kaplan_batch"].values, grid(L=np.linspace(2.4, 8, 9))),
    "hyperbola": ({"S_min": 1000.0, "E_min": 5e8}, grid(B=2.0 ** np.arange(15, 24, 2))),
    "transfer": (
        PUBLISHED["hernandez"].values,
        grid(D_F=np.geomspace(1e5, 1e9, 5), N=np.geomspace(1e6, 1e9, 4)),
    ),
}


def test_every_law_is_planted() -> None:
    assert set(PLANTED) == set(LAWS)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_noise_free_data_return_the_law(name: str) -> None:
    truth, variables = PLANTED[name]
    law = LAWS[name]
    starts = law.start_grid()
    result = fit_law(law, variables, law.predict(truth, variables), starts=starts[:: 1 + len(starts) // 500])
    assert result.parameters == pytest.approx(dict(truth), rel=1e-3)
    assert result.predicted == pytest.approx(result.loss, rel=1e-7)
