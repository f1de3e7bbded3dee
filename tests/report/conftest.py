"""The simulated studies of tests/figures, and the page that is made of them."""

import importlib.util
from pathlib import Path

import pytest

from scaling_lab.report.render import render_report

FIGURES = Path(__file__).parents[1] / "figures"


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("simulated", FIGURES / "simulated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(module.simulated_results(tmp_path_factory.getbasetemp() / "simulated-results"))


@pytest.fixture(scope="session")
def page(results: Path) -> Path:
    output = results / "report.html"
    corpora, tokens = (sorted(results.glob(f"{kind}/*/manifest.json")) for kind in ("corpora", "tokens"))
    render_report(["simulated", "refused"], corpora, tokens, results, output)
    return output
