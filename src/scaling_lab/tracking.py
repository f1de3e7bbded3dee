"""MLflow as a view of the tables: an experiment per study, an MLflow run per training run, and one for the fits.

The only place that imports mlflow. Parquet is the truth; one writer publishes it, because many writers on SQLite fail.
What has not changed since the last publication (by a hash of its content) is left as it is.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.tracking import MlflowClient

from scaling_lab.files import write_text
from scaling_lab.spec import RunSpec
from scaling_lab.tables import read_rows

CONTENT_TAG = "scaling_lab.content"
CURVE_METRICS = (
    "train_loss_smoothed_nats", "validation_loss_nats", "validation_bits_per_byte", "learning_rate", "gradient_norm",
    "noise_scale_tokens", "tokens_per_s", "flops_share_of_peak",
)  # fmt: skip
BATCH = 900  # MLflow takes at most 1,000 metrics in one call


def publish(studies: Sequence[str], results: Path, output: Path) -> None:
    """Bring `results/mlflow.db` up to date; `output` records what was written and what was kept."""
    client = MlflowClient(tracking_uri=f"sqlite:///{(results / 'mlflow.db').resolve()}")
    counts = {study: _publish_study(client, study, results) for study in studies}
    write_text(output, json.dumps(counts, indent=1))


def _publish_study(client: MlflowClient, study: str, results: Path) -> dict[str, int]:
    experiment = _experiment(client, study, results)
    known = _known_runs(client, experiment)
    rows = read_rows(results / "tables" / study / "runs.parquet")
    curves = _curves_by_run(results / "tables" / study / "curves.parquet")
    wanted = {row["run"]: _content(row, curves[row["run"]]) for row in rows}
    parent = f"fits of {study}"
    wanted[parent] = _content(*(p.read_text("utf-8") for p in _fit_files(study, results)))
    stale = [run for name, run in known.items() if wanted.get(name) != run.data.tags.get(CONTENT_TAG)]
    for run in stale:
        client.delete_run(run.info.run_id)
    kept = set(known) - {run.info.run_name for run in stale}
    for row in rows:
        if row["run"] not in kept:
            _publish_run(client, experiment, study, row, curves[row["run"]], wanted[row["run"]], results)
    if parent not in kept:
        simulated = any(row["simulated"] for row in rows)
        _publish_fits(client, experiment, study, parent, wanted[parent], results, simulated)
    return {"written": len(set(wanted) - kept), "kept": len(kept), "replaced_or_removed": len(stale)}


def _experiment(client: MlflowClient, study: str, results: Path) -> str:
    existing = client.get_experiment_by_name(study)
    if existing is not None:
        return str(existing.experiment_id)
    location = (results / "mlflow-artifacts" / study).resolve().as_uri()
    return str(client.create_experiment(study, artifact_location=location))


def _known_runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    runs = client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY, max_results=50_000)
    return {run.info.run_name: run for run in runs}


def _curves_by_run(path: Path) -> dict[str, list[dict[str, Any]]]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(path):
        curves.setdefault(row["run"], []).append(row)
    return curves


def _content(*parts: Any) -> str:
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def _publish_run(
    client: MlflowClient,
    experiment: str,
    study: str,
    row: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
    content: str,
    results: Path,
) -> None:
    folder = results / "runs" / row["run"]
    end = int(1000 * json.loads((folder / "summary.json").read_text("utf-8"))["finished"])
    start = end - int(1000 * row["wall_s"])
    tags = {CONTENT_TAG: content, "study": study, "dataset": row["tokens_id"], "status": row["status"]}
    tags |= {"simulated": str(row["simulated"])}
    run = client.create_run(experiment, start_time=start, tags=tags, run_name=row["run"])
    spec = RunSpec.from_json((folder / "spec.json").read_text("utf-8"))
    params = [Param(name, str(value)) for name, value in spec.flat().items()]
    points = [
        Metric(name, float(point[name]), start + int(1000 * point["wall_s"]), point["step"])
        for point in curve
        for name in CURVE_METRICS
        if point[name] is not None
    ]
    final = [Metric(k, float(v), end, row["steps"]) for k, v in row.items() if isinstance(v, float)]
    _log(client, run.info.run_id, points + final, params)
    client.set_terminated(run.info.run_id, end_time=end)


def _log(client: MlflowClient, run_id: str, metrics: Sequence[Metric], params: Sequence[Param]) -> None:
    client.log_batch(run_id, params=list(params), tags=[RunTag("source", "scaling-lab publish")])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=list(metrics[start : start + BATCH]))


def _fit_files(study: str, results: Path) -> list[Path]:
    return sorted(path for stage in ("fits", "plans") for path in (results / stage / study).glob("*.json"))


def _publish_fits(
    client: MlflowClient, experiment: str, study: str, name: str, content: str, results: Path, simulated: bool
) -> None:
    tags = {CONTENT_TAG: content, "study": study, "kind": "fits", "simulated": str(simulated)}
    run_id = client.create_run(experiment, tags=tags, run_name=name).info.run_id
    metrics = [metric for path in _fit_files(study, results) for metric in _fit_metrics(path)]
    _log(client, run_id, metrics, [Param("study", study)])
    for path in _fit_files(study, results):
        client.log_artifact(run_id, str(path), "fits")
    for path in sorted((results / "figures" / study).glob("*.png")):
        client.log_artifact(run_id, str(path), "figures")
    client.set_terminated(run_id)


def _fit_metrics(path: Path) -> list[Metric]:
    fit = json.loads(path.read_text("utf-8"))
    named = {**(fit.get("parameters") or {}), **(fit.get("derived") or {})}
    values = {f"{path.stem}.{name}": entry["value"] for name, entry in named.items() if isinstance(entry, dict)}
    now = int(1000 * path.stat().st_mtime)
    return [Metric(name, float(value), now, 0) for name, value in values.items() if value is not None]
