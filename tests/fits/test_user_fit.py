"""`scaling-lab fit` end to end on files that the test writes: CSV and Parquet, every error, every digit of the JSON."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from scaling_lab.files import sha256_of
from scaling_lab.fits.rows import parse_condition
from scaling_lab.science.bootstrap import BootstrapOptions, bootstrap_law
from scaling_lab.science.fitting import Objective, fit_law
from scaling_lab.science.laws import LAWS, hoffmann

Cli = Callable[..., tuple[int, str, str]]
Columns = dict[str, list[Any]]
FAST = ("--bootstrap", "40")


@pytest.fixture
def columns(planted: dict[str, float]) -> Columns:
    rng = np.random.default_rng(1)
    sizes, data = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e5, 1e7, 6), np.geomspace(1e7, 1e9, 6)))
    losses = hoffmann(sizes, data, **planted) * np.exp(0.002 * rng.standard_normal(36))
    return {"N": sizes.round().tolist(), "D": data.round().tolist(), "loss": losses.tolist()}


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write columns as runs.csv or runs.parquet."""

    def save(columns: Columns, name: str = "runs.csv", delimiter: str = ",") -> Path:
        table, path = pa.table(columns), tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            pa_csv.write_csv(table, path, pa_csv.WriteOptions(delimiter=delimiter))
        return path

    return save


def fit(cli: Cli, path: Path, *options: str, law: str = "kaplan") -> dict[str, Any]:
    """The document of a fit that must succeed; by Kaplan's law, whose grid of starts is small."""
    output = path.with_name("fit.json")
    code, out, err = cli("fit", path, "--law", law, "--json", output, *FAST, *options)
    assert (code, err) == (0, "")
    assert f"{law}: {LAWS[law].equation}" in out
    document: dict[str, Any] = json.loads(output.read_text())
    return document


def refused(cli: Cli, path: Path, *options: str, law: str = "hoffmann") -> str:
    """The one line of a fit that must fail."""
    code, out, err = cli("fit", path, "--law", law, *FAST, *options)
    assert (code, out) == (2, "")
    assert err.startswith("scaling-lab: ")
    assert len(err.strip().splitlines()) == 1
    return err


def test_the_json_is_the_engine_s_answer_in_full_precision(
    cli: Cli, columns: Columns, save: Callable[..., Path]
) -> None:
    path = save(columns)
    options = ("--params", "N", "--tokens", "D", "--loss", "loss", "--seed", "3", "--level", "0.8")
    document = fit(cli, path, *options, law="hoffmann")
    variables = {name: np.array(columns[name]) for name in ("N", "D")}
    result = fit_law(LAWS["hoffmann"], variables, np.array(columns["loss"]), Objective("huber", 1e-3))
    draws = bootstrap_law(result, BootstrapOptions(40, 0.8, 3))
    assert list(document["parameters"]) == ["E", "A", "B", "alpha", "beta"]
    assert {"a", "b"} <= set(document["derived"])
    assert document["objective"] == {"name": "huber", "delta": 1e-3, "value": result.objective_value}
    for name, entry in document["parameters"].items():
        interval = draws.interval(name, 0.8)
        assert interval is not None
        assert entry["value"] == result.parameters[name]
        assert entry["se"] == result.standard_errors[name]
        assert entry["interval"] == {"level": 0.8, "low": interval.low, "high": interval.high}
    assert document["status"] == "ok"
    assert document["diagnostics"]["variable_projection"]["agrees"] is True
    assert [row["delta"] for row in document["sensitivity"]] == [1e-4, 1e-3, 1e-2, None]
    provenance = document["provenance"]
    assert provenance["input"] == {"file": "runs.csv", "sha256": sha256_of(path)}
    assert provenance["rows"] == {"used": 36, "dropped": []}
    assert provenance["options"]["bootstrap"] == 40
    assert provenance["version"]
    assert document["ranges"]["N"] == {"low": min(columns["N"]), "high": max(columns["N"])}


def test_intervals_beside_the_exact_ones_contain_a_departure(
    cli: Cli, columns: Columns, save: Callable[..., Path]
) -> None:
    path = save(columns)
    document = fit(cli, path, "--departure", "0.02", law="hoffmann")
    believed = document["diagnostics"]["departure"]
    assert believed["stated"] == document["provenance"]["options"]["departure"] == 0.02
    assert believed["interval"]["low"] < believed["median"] < believed["interval"]["high"]
    for name in ("alpha", "beta"):
        exact, departed = (document["parameters"][name][kind] for kind in ("interval", "interval_departed"))
        assert departed["high"] - departed["low"] > 1.2 * (exact["high"] - exact["low"])
    exact = fit(cli, path, "--departure", "0", law="hoffmann")
    assert exact["diagnostics"]["departure"] is None
    assert exact["parameters"]["A"]["interval"] == exact["parameters"]["A"]["interval_departed"]
    assert exact["parameters"]["A"]["interval"] == document["parameters"]["A"]["interval"]
    assert "departure: Input should be greater than or equal to 0" in refused(cli, path, "--departure", "-1")


def test_the_same_command_writes_the_same_bytes(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    path = save(columns)
    fit(cli, path)
    first = path.with_name("fit.json").read_bytes()
    other = fit(cli, path)
    assert path.with_name("fit.json").read_bytes() == first
    assert fit(cli, path, "--seed", "1")["parameters"]["Nc"]["interval"] != other["parameters"]["Nc"]["interval"]


def test_csv_parquet_and_semicolons_agree(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    first = fit(cli, save(columns))
    for path in (save(columns, "runs.parquet"), save(columns, "other.csv", ";"), save(columns, "runs.tsv", "\t")):
        assert fit(cli, path)["parameters"] == first["parameters"]


def test_tokens_or_size_follow_from_flops(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    first = fit(cli, save(columns))
    flops = [6 * n * d for n, d in zip(columns["N"], columns["D"], strict=True)]
    for given, derived in (("N", "D"), ("D", "N")):
        table = {"C": flops, given: columns[given], "loss": columns["loss"]}
        document = fit(cli, save(table), "--flops", "C")
        assert document["variables"][derived]["column"] == f"C / (6 {given})"
        for name, entry in document["parameters"].items():
            assert entry["value"] == pytest.approx(first["parameters"][name]["value"], rel=1e-6)


def test_columns_are_mapped_by_option(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    named = {"size": columns["N"], " tokens ": columns["D"], "nats": columns["loss"], "name": list(range(36))}
    options = ("--params", "size", "--tokens", "tokens", "--loss", "nats", "--run", "name")
    document = fit(cli, save(named), *options)
    assert document["variables"]["D"] == {"column": "tokens", "label": "tokens"}
    points = pq.read_table(save({}, "none.csv").with_name("fit.points.parquet"))
    assert points["run"].to_pylist() == [str(i) for i in range(36)]


@pytest.mark.parametrize("objective", ["huber", "lad", "squares"])
def test_objectives(cli: Cli, columns: Columns, save: Callable[..., Path], objective: str) -> None:
    document = fit(cli, save(columns), "--objective", objective, "--delta", "0.01")
    assert document["objective"]["name"] == objective
    assert document["objective"]["delta"] == (0.01 if objective == "huber" else None)
    residuals = np.array(pq.read_table(save({}, "x.csv").with_name("fit.points.parquet"))["residual"].to_pylist())
    size = np.abs(residuals)
    inside = np.minimum(size, 0.01)
    total = {"huber": inside * (size - inside / 2), "lad": size, "squares": residuals**2 / 2}[objective].sum()
    assert document["objective"]["value"] == pytest.approx(total, rel=1e-3)


def test_a_law_of_one_variable_and_one_with_known_parameters(cli: Cli, save: Callable[..., Path]) -> None:
    size = np.geomspace(1e5, 1e9, 12)
    path = save({"params": size, "loss": 1.5 + (1e7 / size) ** 0.2})
    document = fit(cli, path, "--x", "params", law="power_offset")
    assert document["parameters"]["E"]["value"] == pytest.approx(1.5, abs=1e-4)
    document = fit(cli, path, "--x", "params", "--fix", "E=1.5", law="power_offset")
    assert document["fixed"] == {"E": 1.5}
    assert set(document["parameters"]) == {"Xc", "alpha"}
    assert document["parameters"]["Xc"]["value"] == pytest.approx(1e7, rel=1e-4)
    position = save({"T": size, "loss": 1.5 + 7 / size**0.2})
    assert fit(cli, position, law="position")["parameters"]["p"]["value"] == pytest.approx(0.2, abs=1e-4)


def test_rows_are_filtered_by_name_and_nothing_is_dropped_silently(
    cli: Cli, columns: Columns, save: Callable[..., Path]
) -> None:
    columns |= {"kind": ["cosine"] * 35 + ["constant"]}
    columns["loss"][0], columns["loss"][1] = 0.0, float("nan")
    options = ("--drop-invalid", "--where", "kind=cosine", "--where", f"N<={max(columns['N'])}")
    document = fit(cli, save(columns), *options)
    rows = document["provenance"]["rows"]
    assert rows["used"] == 33
    assert [(line["row"], line["filter"], line["reason"]) for line in rows["dropped"]] == [
        (36, "where kind=cosine", "kind is constant, not kind=cosine"),
        (1, "valid", "loss is 0.0"),
        (2, "valid", "loss is missing"),
    ]


def test_conditions() -> None:
    for text, parts in (
        ("step >= 3000", ("step", ">=", "3000")),
        ("a b!=c d", ("a b", "!=", "c d")),
        ("x==1", ("x", "==", "1")),
        ("x<2", ("x", "<", "2")),
    ):
        found = parse_condition(text)
        assert (found.column, found.operator, found.value) == parts


def test_duplicates_stop_are_dropped_or_kept(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    path = save({name: [*values, values[4]] for name, values in columns.items()})
    assert "row 37 repeats row 5: same variables, same loss" in refused(cli, path)
    dropped = fit(cli, path, "--duplicates", "drop")["provenance"]["rows"]
    assert dropped["used"] == 36
    assert dropped["dropped"][0] | {"row": 37, "reason": "repeats row 5"} == dropped["dropped"][0]
    assert fit(cli, path, "--duplicates", "keep")["provenance"]["rows"] == {"used": 37, "dropped": []}
    named = save(columns | {"id": [*range(35), 3]})
    assert "row 36: run 3 is already in row 4; one row per run, or --cluster id" in refused(cli, named, "--run", "id")


def test_rows_of_one_run_are_resampled_together(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    columns |= {"group": [f"g{i // 12}" for i in range(36)]}
    document = fit(cli, save(columns), "--cluster", "group")
    assert document["diagnostics"]["clusters"] == 3
    assert any("3 cluster(s)" in note for note in document["diagnostics"]["warnings"])


@pytest.mark.parametrize(
    ("value", "text"), [(float("nan"), "nan"), (0.0, "0.0"), (-1.5, "-1.5"), (float("inf"), "inf")]
)
def test_unusable_values_are_named_by_row(
    cli: Cli, columns: Columns, save: Callable[..., Path], value: float, text: str
) -> None:
    columns["loss"][6] = value
    message = refused(cli, save(columns, "runs.parquet"))
    assert f"runs.parquet: row 7: loss is {text}; allowed: a positive number" in message
    columns["loss"][9] = value
    assert "(2 such rows: 7, 10)" in refused(cli, save(columns, "runs.parquet"))
    columns["D"][2] = value
    assert f"row 3: D is {text}" in refused(cli, save(columns, "runs.parquet"))


def test_an_empty_cell_is_missing(cli: Cli, save: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss\n1e6,1e8,3.1\n2e6,1e8,\n")
    assert "row 2: loss is missing" in refused(cli, path)


def test_missing_columns_are_named_with_those_there_are(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    path = save({"size": columns["N"], "loss": columns["loss"]})
    message = refused(cli, path)
    assert "hoffmann needs N: no column 'N'; name it by --params, or derive it by --flops" in message
    assert "the table has loss, size" in message
    assert "hoffmann needs D" in refused(cli, path, "--params", "size")
    assert "no column 'C'; the table has loss, size" in refused(cli, path, "--params", "size", "--flops", "C")
    assert "no column 'nats'" in refused(cli, save(columns), "--loss", "nats")
    assert "power needs X; name its column by --x" in refused(cli, save(columns), law="power")
    assert "data_constrained needs U; name its column by --column U=COLUMN" in refused(
        cli, save(columns), law="data_constrained"
    )


def test_too_few_points_and_what_cannot_be_identified(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    few = save({name: [values[i] for i in (0, 7, 14, 21)] for name, values in columns.items()})
    output = few.with_name("refused.json")
    message = refused(cli, few, "--json", str(output))
    assert "hoffmann is refused (too_few_points): 4 distinct points for the 5 parameters" in message
    document = json.loads(output.read_text())
    assert document["status"] == "refused"
    assert document["reason"]["code"] == "too_few_points"
    assert document["parameters"] == {}
    one_size = save({name: values[::6] for name, values in columns.items()})
    assert "(single_value): every run has N = " in refused(cli, one_size)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a readable CSV or Parquet table: Empty CSV file"),
        ("N,D,loss\n", "the table has no rows"),
        ("N,N,loss\n1,2,3\n", "the column 'N' appears more than once"),
        ("N,D,loss\n1,2\n", "not a readable CSV or Parquet table: CSV parse error"),
        ("N,D,loss\n1,2,low\n", "column 'loss' holds text where numbers are needed"),
        ("PAR1 but not really", "not a readable CSV or Parquet table"),
    ],
)
def test_files_that_are_no_tables(cli: Cli, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(content)
    assert message in refused(cli, path)


def test_a_file_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    assert "none.csv: not a readable CSV or Parquet table: No such file" in refused(cli, tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bootstrap", "3"), "options: bootstrap: "),
        (("--level", "1"), "options: level: "),
        (("--delta", "0"), "options: delta: "),
        (("--fix", "Q=1"), "hoffmann has no parameter 'Q'; it has E, A, B, alpha, beta"),
        (("--fix", "E"), "--fix 'E'; allowed: NAME=VALUE"),
        (("--fix", "E=much"), "--fix E=much; allowed: a number"),
        (("--fix", "E=1", "--fix", "A=1", "--fix", "B=1", "--fix", "alpha=1", "--fix", "beta=1"), "nothing is left"),
        (("--column", "N"), "--column 'N'; allowed: NAME=VALUE"),
        (("--x", "N"), "--x: hoffmann has the variables N, D"),
        (("--where", "loss"), "--where 'loss'; allowed: COLUMN=VALUE"),
        (("--where", "size>2"), "no column 'size'"),
        (("--where", "kind>2"), "kind is text; allowed: = and !="),
        (("--where", "loss>99"), "no row is left after the filters"),
    ],
)
def test_options_are_checked(
    cli: Cli, columns: Columns, save: Callable[..., Path], options: Sequence[str], message: str
) -> None:
    assert message in refused(cli, save(columns | {"kind": ["cosine"] * 36}), *options)


def test_an_unknown_law_lists_the_known(cli: Cli, columns: Columns, save: Callable[..., Path]) -> None:
    assert "--law 'chinchilla'; allowed: power, power_offset" in refused(cli, save(columns), law="chinchilla")


def test_checkpoints_of_one_run_are_noticed(cli: Cli, save: Callable[..., Path]) -> None:
    """Residuals that wander along the curve are not those of independent runs; independent ones raise no alarm."""
    rng = np.random.default_rng(0)
    step = np.geomspace(1e2, 1e5, 60)
    wander = np.convolve(rng.standard_normal(79), np.ones(20) / 20, "valid")
    for noise, alarmed in ((0.01 * wander, True), (0.002 * rng.standard_normal(60), False)):
        loss = (2 + (5e3 / step) ** 0.5) * np.exp(noise)
        notes = fit(cli, save({"X": step, "loss": loss}), law="power_offset")["diagnostics"]["warnings"]
        assert any("the rows are not independent" in note for note in notes) == alarmed
