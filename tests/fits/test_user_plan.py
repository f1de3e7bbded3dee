"""`scaling-lab plan` from a fit that `scaling-lab fit` wrote."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaling_lab.cli import main
from scaling_lab.science.data_limited import PUBLISHED_REPETITION
from scaling_lab.science.hyperparameters import PUBLISHED_RATES
from scaling_lab.science.laws import data_constrained, hoffmann
from scaling_lab.science.optimum import closed_form_optimum

Cli = Callable[..., tuple[int, str, str]]
LAW = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fit.json of Hoffmann's law, kaplan.json, one of a power law, and a refused one."""
    folder = tmp_path_factory.mktemp("plan")
    rng = np.random.default_rng(0)
    sizes, ratio = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e8, 5e9, 7), np.geomspace(4, 64, 6)))
    losses = hoffmann(sizes, sizes * ratio, **LAW) * np.exp(0.002 * rng.standard_normal(42))
    pq.write_table(pa.table({"N": sizes, "D": sizes * ratio, "loss": losses}), folder / "runs.parquet")
    pq.write_table(pa.table({"N": sizes[:1], "D": sizes[:1], "loss": losses[:1]}), folder / "one.parquet")
    for runs, law, options in (
        ("runs", "hoffmann", ()),
        ("runs", "kaplan", ()),
        ("runs", "power", ("--x", "N")),
        ("one", "gadre", ()),
    ):
        arguments = ["fit", folder / f"{runs}.parquet", "--law", law, "--json", folder / f"{law}.json", *options]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["scaling-lab", *map(str, arguments), "--bootstrap", "200"])
            with pytest.raises(SystemExit):
                main()
    return folder


@pytest.fixture
def plan(cli: Cli, folder: Path, tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Plan from a fit by name: the document and what was printed."""

    def plan(*options: object, fit: str = "hoffmann") -> tuple[dict[str, Any], str]:
        output = tmp_path / "plan.json"
        code, out, err = cli("plan", folder / f"{fit}.json", "--json", output, *options)
        assert (code, err) == (0, "")
        return json.loads(output.read_text()), out

    return plan


Plan = Callable[..., tuple[dict[str, Any], str]]


def width(entry: dict[str, Any]) -> float:
    """Relative width of the wide interval."""
    return float((entry["intervals"][1]["high"] - entry["intervals"][1]["low"]) / entry["value"])


def test_the_plan_is_the_closed_form_of_the_fit(plan: Plan, folder: Path) -> None:
    document, out = plan("--flops", 1e21)
    fitted = {k: v["value"] for k, v in json.loads((folder / "hoffmann.json").read_text())["parameters"].items()}
    exact = closed_form_optimum(fitted, 1e21)
    size, data = document["params_opt"]["value"], document["tokens_opt"]["value"]
    assert size == pytest.approx(float(exact.params), rel=1e-4)
    assert 6 * size * data == pytest.approx(1e21)
    assert document["tokens_per_param"]["value"] == pytest.approx(data / size)
    assert document["loss"]["value"] == pytest.approx(float(exact.loss))
    truth = closed_form_optimum(LAW, 1e21)
    wide = document["params_opt"]["intervals"][1]
    assert wide["level"] == 0.95
    assert wide["low"] < float(truth.params) < wide["high"]
    recipe = document["recipe"]
    assert recipe["steps"]["value"] == pytest.approx(data / recipe["batch_tokens"]["value"])
    assert recipe["learning_rate"]["value"] == pytest.approx(PUBLISHED_RATES["step"](size, data, 1e21))
    assert len(document["provenance"]["input"]["sha256"]) == 64
    assert "parameters N" in out
    assert "what another size costs at the same budget" in out


def test_regret_is_least_at_the_optimum_and_grows_to_both_sides(plan: Plan) -> None:
    regret = plan("--flops", 1e21)[0]["regret"]
    losses, wasted = np.array(regret["loss_nats"]), np.array(regret["compute_percent"])
    middle = len(losses) // 2
    assert losses[middle] < 1e-3
    assert wasted[middle] < 1
    assert np.all(np.diff(losses[: middle + 1]) < 0)
    assert np.all(np.diff(losses[middle:]) > 0)
    assert np.all(np.array(regret["loss_nats_high"]) >= losses)


def test_intervals_widen_and_warnings_count_decades_beyond_the_runs(plan: Plan) -> None:
    inside, out = plan("--flops", 1e20)
    far, loud = plan("--flops", 1e25)
    for name in ("params_opt", "tokens_opt", "loss"):
        assert width(far[name]) > 1.5 * width(inside[name]), name
    assert inside["extrapolation"] == {"C": 0.0, "N": 0.0, "D": 0.0}
    assert "decades" not in out
    largest = far["ranges"]["C"]["high"]
    assert far["extrapolation"]["C"] == pytest.approx(np.log10(1e25 / largest))
    assert f"warning: C is {np.log10(1e25 / largest):.2f} decades outside the runs of the fit" in loud
    assert far["extrapolation"]["N"] == pytest.approx(np.log10(far["params_opt"]["value"] / far["ranges"]["N"]["high"]))
    small, _ = plan("--flops", 1e15)
    assert small["extrapolation"]["C"] == pytest.approx(np.log10(small["ranges"]["C"]["low"] / 1e15))


def test_gpu_hours_become_flops_and_wall_time(plan: Plan) -> None:
    document, out = plan("--gpu-hours", 100, "--device", "h100-sxm", "--utilisation", 0.5, "--devices", 8)
    assert document["flops"] == pytest.approx(100 * 3600 * 1979e12 / 2 * 0.5)
    assert document["recipe"]["wall_seconds"] == pytest.approx(100 * 3600 / 8)
    assert document["hardware"]["source"].startswith("NVIDIA H100 data sheet")
    assert "wall time, hours" in out
    assert "a utilisation of 0.5 is assumed" in out
    given, _ = plan("--gpu-hours", 1, "--peak-flops", 1e12)
    assert given["flops"] == pytest.approx(3600 * 1e12 * 0.4)
    assert given["hardware"]["source"] == "given"


def test_serving_moves_the_model_down_at_the_same_loss(plan: Plan) -> None:
    plain, _ = plan("--flops", 1e21, "--inference-tokens", 0)
    assert plain["inference"]["params_opt"]["value"] == pytest.approx(plain["params_opt"]["value"], rel=1e-3)
    sizes, savings = [], []
    for served in (1e11, 1e12, 1e13):
        block = plan("--flops", 1e21, "--inference-tokens", served)[0]["inference"]
        sizes.append(block["params_opt"]["value"])
        savings.append(block["saving_percent"])
        assert block["training_flops"] > 1e21
        assert block["params_opt"]["intervals"][0]["low"] < sizes[-1] < block["params_opt"]["intervals"][0]["high"]
    assert plain["params_opt"]["value"] > sizes[0] > sizes[1] > sizes[2]
    assert 0 < savings[0] < savings[1] < savings[2]
    assert "training and serving take" in plan("--flops", 1e21, "--inference-tokens", 1e12)[1]


def test_limited_data_are_respected(plan: Plan) -> None:
    ample, _ = plan("--flops", 1e21, "--unique-tokens", 1e12)
    assert ample["data_limited"]["epochs"]["value"] == 1
    assert ample["data_limited"]["params_opt"]["value"] == pytest.approx(ample["params_opt"]["value"], rel=1e-3)
    scarce, out = plan("--flops", 1e21, "--unique-tokens", 5e9)
    block = scarce["data_limited"]
    assert block["unique_tokens"] == 5e9
    assert block["epochs"]["value"] == pytest.approx(block["tokens_opt"]["value"] / 5e9)
    assert block["loss"]["value"] > scarce["loss"]["value"]
    assert block["params_opt"]["value"] < scarce["params_opt"]["value"]
    assert block["repetition"] == {**PUBLISHED_REPETITION, "source": "Muennighoff et al. 2023"}
    assert "with 5e+09 unique tokens" in out
    given, _ = plan("--flops", 1e21, "--unique-tokens", 5e9, "--repetition-d", 1, "--repetition-n", 20)
    assert given["data_limited"]["repetition"] == {"R_D": 1.0, "R_N": 20.0, "source": "given"}
    assert given["data_limited"]["loss"]["value"] > block["loss"]["value"]


def test_a_data_constrained_fit_brings_its_own_repetition(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size, data, unique = (
        grid.ravel() for grid in np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5), [1e9, 1e10])
    )
    keep = data >= unique
    runs = {"N": size[keep], "D": data[keep], "U": unique[keep]}
    runs["loss"] = data_constrained(**runs, **LAW, R_N=5.0, R_D=15.0) * np.exp(1e-3 * rng.standard_normal(keep.sum()))
    pq.write_table(pa.table(runs), tmp_path / "runs.parquet")
    fixed = [word for name, value in LAW.items() for word in ("--fix", f"{name}={value}")]
    command = ("fit", tmp_path / "runs.parquet", "--law", "data_constrained", "--json", tmp_path / "fit.json")
    assert cli(*command, *fixed, "--bootstrap", 60)[0] == 0
    options = ("--flops", 1e21, "--unique-tokens", 5e9, "--json", tmp_path / "plan.json")
    assert cli("plan", tmp_path / "fit.json", *options)[0] == 0
    block = json.loads((tmp_path / "plan.json").read_text())["data_limited"]
    assert block["repetition"]["source"] == "fitted"
    assert block["repetition"]["R_D"] == pytest.approx(15, rel=0.1)
    low, high = (block["params_opt"]["intervals"][1][end] for end in ("low", "high"))
    assert low < block["params_opt"]["value"] < high


def test_batch_and_rate_follow_named_rules(plan: Plan) -> None:
    document, out = plan("--flops", 1e21, "--batch-rule", "deepseek", "--rate-rule", "porian")
    assert document["recipe"]["batch_tokens"]["value"] == pytest.approx(0.2920 * 1e21**0.3271)
    assert document["recipe"]["learning_rate"]["value"] == pytest.approx(3.7 * document["params_opt"]["value"] ** -0.36)
    assert "rules `deepseek` and `porian`, measured on other models and data" in out
    critical, out = plan("--flops", 1e21, "--critical-batch", "2.1e8,0.21")
    loss = critical["loss"]["value"]
    assert critical["recipe"]["batch_tokens"]["value"] == pytest.approx(2.1e8 / loss ** (1 / 0.21))
    assert critical["recipe"]["batch_rule"] == "critical"
    assert "published rules" not in out
    huge, out = plan("--flops", 1e24, "--rate-rule", "kaplan")
    assert huge["recipe"]["learning_rate"] is None
    assert "the learning rate rule kaplan does not hold at this size" in out


def test_other_laws_of_n_and_d_plan_too(plan: Plan, cli: Cli, folder: Path) -> None:
    document, _ = plan("--flops", 1e21, fit="kaplan")
    assert document["law"] == "kaplan"
    assert 6 * document["params_opt"]["value"] * document["tokens_opt"]["value"] == pytest.approx(1e21)
    for option in ("--unique-tokens", "--inference-tokens"):
        code, _, err = cli("plan", folder / "kaplan.json", "--flops", 1e21, option, 1e9)
        assert code == 2
        assert f"{option} needs the hoffmann" in err


@pytest.mark.parametrize(
    ("fit", "options", "message"),
    [
        ("hoffmann", (), "a plan takes one budget: --flops, or --gpu-hours"),
        ("hoffmann", ("--flops", 1e20, "--gpu-hours", 5), "a plan takes one budget"),
        ("hoffmann", ("--gpu-hours", 5), "--gpu-hours 5 needs a device: --device (a100, h100-sxm, h200, h100-pcie)"),
        ("hoffmann", ("--flops", -1), "the budget is -1 FLOPs; allowed: a positive, finite number"),
        ("hoffmann", ("--flops", 1e20, "--device", "tpu"), "--device 'tpu'; allowed: a100"),
        ("hoffmann", ("--flops", 1e20, "--peak-flops", -1), "peak is -1.0; allowed: a positive number"),
        ("hoffmann", ("--gpu-hours", 1, "--device", "a100", "--utilisation", 2), "utilisation is 2.0; allowed"),
        ("hoffmann", ("--gpu-hours", 1, "--device", "a100", "--devices", 0), "devices is 0; allowed: 1 or more"),
        ("hoffmann", ("--flops", 1e20, "--batch-rule", "big"), "batch rule 'big'; allowed: deepseek"),
        ("hoffmann", ("--flops", 1e20, "--rate-rule", "hot"), "learning rate rule 'hot'; allowed: kaplan"),
        ("hoffmann", ("--flops", 1e20, "--critical-batch", "2e8"), "--critical-batch '2e8'; allowed: B*,alpha_B"),
        ("hoffmann", ("--flops", 1e20, "--critical-batch", "2e8,-1"), "allowed: two positive numbers"),
        ("hoffmann", ("--flops", 1e20, "--unique-tokens", 0), "--unique-tokens 0; allowed: a positive number"),
        ("hoffmann", ("--flops", 1e20, "--inference-tokens", -5), "--inference-tokens -5; allowed: 0 or more"),
        ("power", ("--flops", 1e20), "a plan needs a law of N and D; this is power"),
        ("gadre", ("--flops", 1e20), "gadre was refused (single_value)"),
        ("absent", ("--flops", 1e20), "absent.json: not a readable fit"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_line(
    cli: Cli, folder: Path, fit: str, options: tuple[object, ...], message: str
) -> None:
    code, out, err = cli("plan", folder / f"{fit}.json", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_fit_without_its_draws_or_of_another_kind(cli: Cli, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "hoffmann.json", tmp_path / "fit.json")
    code, _, err = cli("plan", tmp_path / "fit.json", "--flops", 1e20)
    assert code == 2
    assert "fit.draws.parquet: not readable; it is written beside fit.json" in err
    (tmp_path / "fit.json").write_text("[1]")
    assert "not a fit; allowed: the JSON that" in cli("plan", tmp_path / "fit.json", "--flops", 1e20)[2]
