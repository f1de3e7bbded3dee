"""The simulated studies, shared with the tests of the report."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def load_simulated() -> ModuleType:
    """The module beside this file; tests are no package that could import it."""
    spec = importlib.util.spec_from_file_location("simulated", HERE / "simulated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "simulated-results"
    return Path(load_simulated().simulated_results(folder))
