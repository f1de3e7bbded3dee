"""`scaling-lab compare` and `scaling-lab backtest` on tables that the test writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaling_lab.science.laws import hoffmann, kaplan

Cli = Callable[..., tuple[int, str, str]]
KAPLAN = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
FAST = ("--bootstrap", "30")


def surface(path: Path, losses: Callable[[Any, Any], Any], noise: float = 0.001) -> Path:
    rng = np.random.default_rng(2)
    sizes, data = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)))
    observed = losses(sizes, data) * np.exp(noise * rng.standard_normal(36))
    pq.write_table(pa.table({"N": sizes, "D": data, "loss": observed, "name": [f"r{i}" for i in range(36)]}), path)
    return path


@pytest.fixture
def hoffmann_runs(tmp_path: Path, planted: dict[str, float]) -> Path:
    return surface(tmp_path / "runs.parquet", lambda n, d: hoffmann(n, d, **planted))


def document(cli: Cli, command: str, path: Path, *options: str) -> tuple[dict[str, Any], str]:
    output = path.with_name(f"{command}.json")
    code, out, err = cli(command, path, "--json", output, *FAST, *options)
    assert (code, err) == (0, "")
    return json.loads(output.read_text()), out


def test_the_most_expensive_runs_are_predicted(cli: Cli, hoffmann_runs: Path) -> None:
    found, out = document(cli, "backtest", hoffmann_runs, "--law", "hoffmann", "--law", "kaplan", "--run", "name")
    table = pq.read_table(hoffmann_runs).to_pydict()
    cost = 6 * np.array(table["N"]) * np.array(table["D"])
    held = [name for name, c in zip(table["name"], cost, strict=True) if c > cost.max() / 2]
    assert found["held_out"] == held == ["r35"]
    assert found["laws"]["hoffmann"]["mean_absolute_relative_error"] < 0.005
    rows = {row["law"]: row for row in found["rows"]}
    assert rows["hoffmann"]["measured"] == table["loss"][35]
    assert rows["hoffmann"]["cost"] == pytest.approx(cost[35])
    assert rows["hoffmann"]["low"] <= rows["hoffmann"]["predicted"] <= rows["hoffmann"]["high"]
    assert abs(rows["kaplan"]["relative_error_percent"]) > abs(rows["hoffmann"]["relative_error_percent"])
    assert "held out, 1 of 36: runs that cost more than the most expensive one divided by 2, by FLOPs" in out
    assert "r35" in out


def test_a_larger_factor_holds_more_out_and_flops_may_be_given(cli: Cli, hoffmann_runs: Path) -> None:
    few, _ = document(cli, "backtest", hoffmann_runs, "--law", "kaplan")
    many, out = document(cli, "backtest", hoffmann_runs, "--law", "kaplan", "--factor", "2000")
    assert set(few["held_out"]) < set(many["held_out"])
    assert len(many["rows"]) == len(many["held_out"]) > 20
    assert f"and {len(many['rows']) - 20} more rows, all in the JSON" in out
    table = pq.read_table(hoffmann_runs)
    flat = table.append_column("C", pa.array([1e18] * 35 + [3e18]))
    pq.write_table(flat, hoffmann_runs)
    named, _ = document(cli, "backtest", hoffmann_runs, "--law", "kaplan", "--flops", "C")
    assert [row["cost"] for row in named["rows"]] == [3e18]


def test_a_backtest_fixes_parameters_too(cli: Cli, hoffmann_runs: Path, planted: dict[str, float]) -> None:
    fixed = [word for name in ("E", "A", "alpha") for word in ("--fix", f"{name}={planted[name]}")]
    found, _ = document(cli, "backtest", hoffmann_runs, "--law", "hoffmann", *fixed)
    assert found["provenance"]["options"]["fixed"] == {name: planted[name] for name in ("E", "A", "alpha")}
    assert found["laws"]["hoffmann"]["mean_absolute_relative_error"] < 0.005


@pytest.mark.parametrize("truth", ["hoffmann", "kaplan"])
def test_the_law_that_made_the_runs_wins(cli: Cli, tmp_path: Path, planted: dict[str, float], truth: str) -> None:
    laws = {"hoffmann": lambda n, d: hoffmann(n, d, **planted), "kaplan": lambda n, d: kaplan(n, d, **KAPLAN)}
    path = surface(tmp_path / "runs.parquet", laws[truth])
    found, out = document(cli, "compare", path, "--law", "hoffmann", "--law", "kaplan", "--objective", "squares")
    other = "kaplan" if truth == "hoffmann" else "hoffmann"
    assert found["laws"][truth]["aicc_difference"] == 0
    assert found["laws"][other]["aicc_difference"] > 0 or found["laws"][other]["status"] == "refused"
    assert found["laws"][truth]["hold_out"]["mean_absolute_relative_error"] < 0.005
    assert found["laws"]["hoffmann"]["parameters_fitted"] == 5
    assert found["laws"][truth]["akaike_weight"] > 0.5
    assert found["laws"][truth]["windows"]["n"] >= 2
    heading = next(line for line in out.splitlines() if "AICc" in line)
    row = next(line for line in out.splitlines() if line.startswith(f"│ {truth}"))
    cells = dict(zip(heading.split("┃")[1:-1], row.split("│")[1:-1], strict=True))
    printed = {name.strip(): cell.strip() for name, cell in cells.items()}
    assert printed["above best"] == "0"
    assert float(printed["AICc"]) == pytest.approx(found["laws"][truth]["aicc"], rel=1e-4)
    assert float(printed["weight"]) == pytest.approx(found["laws"][truth]["akaike_weight"], rel=1e-2)
    assert printed["inside"] == "100% of 1" or printed["inside"] == "0% of 1"


def test_every_law_of_two_variables_competes_by_default(cli: Cli, hoffmann_runs: Path) -> None:
    found, _ = document(cli, "compare", hoffmann_runs)
    assert list(found["laws"]) == ["hoffmann", "kaplan", "kaplan_symmetric", "gadre"]
    assert found["laws"]["hoffmann"]["aicc_difference"] == 0
    assert found["provenance"]["options"]["laws"] == list(found["laws"])
    assert found["provenance"]["rows"] == {"used": 36, "dropped": []}


def test_curves_compete_where_an_x_is_given(cli: Cli, tmp_path: Path) -> None:
    """A pure power law has no offset: the law with one is refused or no better, and the largest X are held out."""
    size = np.geomspace(1e5, 1e9, 24)
    path = tmp_path / "runs.parquet"
    noise = 0.002 * np.random.default_rng(0).standard_normal(24)
    pq.write_table(pa.table({"size": size, "loss": (1e13 / size) ** 0.076 * np.exp(noise)}), path)
    found, out = document(cli, "compare", path, "--x", "size", "--factor", "3")
    assert list(found["laws"]) == ["power", "power_offset", "logarithm", "bnsl"]
    assert found["held_out"] == ["row 22", "row 23", "row 24"]
    assert "by X" in found["rule"]
    assert found["laws"]["power"]["aicc_difference"] < 3
    assert found["laws"]["power"]["hold_out"]["mean_absolute_relative_error"] < 0.005
    refusals = [name for name, entry in found["laws"].items() if entry["status"] == "refused"]
    for name in refusals:
        assert f"{name} refused ({found['laws'][name]['reason']['code']})" in out


def test_laws_that_are_all_refused_stop_with_their_reasons(cli: Cli, hoffmann_runs: Path) -> None:
    pq.write_table(pq.read_table(hoffmann_runs)[:6], hoffmann_runs)
    for command in ("backtest", "compare"):
        code, out, err = cli(command, hoffmann_runs, "--law", "hoffmann", *FAST)
        assert (code, out) == (2, "")
        assert "hoffmann is refused (single_value): " in err
        assert len(err.strip().splitlines()) == 1


def test_options_of_tests_are_checked(cli: Cli, hoffmann_runs: Path) -> None:
    for options, message in (
        (("--law", "chinchilla"), "--law 'chinchilla'; allowed: power"),
        (("--factor", "1"), "--factor 1; allowed: above 1"),
        (("--tokens", "T"), "no column 'T'"),
    ):
        code, _, err = cli("compare", hoffmann_runs, *options)
        assert code == 2
        assert message in err


def test_laws_are_compared_on_the_same_rows_only(cli: Cli, hoffmann_runs: Path) -> None:
    table = pq.read_table(hoffmann_runs)
    pq.write_table(table.append_column("T", pa.array([None, *range(1, 36)])), hoffmann_runs)
    code, _, err = cli("compare", hoffmann_runs, "--law", "kaplan", "--law", "position", "--drop-invalid", *FAST)
    assert code == 2
    assert "position and kaplan use different rows; a comparison needs the same ones" in err
