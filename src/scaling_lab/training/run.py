"""Train one run: from its spec and tokens to metrics.parquet and summary.json, through any number of interruptions."""

from pathlib import Path
from typing import Any

from scaling_lab.spec import RunSpec
from scaling_lab.training.curves import Scale
from scaling_lab.training.device import device_name, peak_flops_per_s
from scaling_lab.training.engine import Execution, Trained, training
from scaling_lab.training.results import Evaluations, evaluate, write_results


def train(spec: RunSpec, dataset: Path, run_dir: Path, *, trunk_dir: Path | None = None, **execution: Any) -> None:
    """Train `spec` on the token store in `dataset`; write `metrics.parquet` and `summary.json` into `run_dir`.

    Goes on from the newest whole checkpoint in `run_dir`, else from that of its trunk in `trunk_dir`. With several
    devices, Lightning starts this process again for each; with several nodes, SLURM does so first.

    Args:
        spec: of the run.
        dataset: folder of a token store.
        run_dir: where the run's files are.
        trunk_dir: folder of the segment of a trunk that the run branches off.
        execution: fields of `Execution`.

    Raises:
        TrainingError, ConfigError, InterruptedTrainingError: see `engine.training`.
    """
    how = Execution(**execution)
    with training(spec, dataset, run_dir, how, trunk_dir) as trained:
        evaluations = _evaluate(trained)
        if trained.trainer.is_global_zero:
            device = trained.trainer.strategy.root_device
            scale = Scale(trained.store.bytes_per_token("validation"), peak_flops_per_s(device, how.processes))
            names = {"device": device_name(device), "devices": how.processes, "threads": how.nodes * how.threads}
            write_results(run_dir, spec, trained.recorder.history, evaluations, scale, names)


def _evaluate(trained: Trained) -> Evaluations:
    """Losses of the final weights, or of the best ones where the spec stops early; none of a run that diverged."""
    recorder, module = trained.recorder, trained.module
    if recorder.history.diverged_at is not None:
        return {}
    if recorder.best_weights is not None:
        module.model.load_state_dict(recorder.best_weights)
    module.to(trained.trainer.strategy.root_device)  # Lightning left it on the CPU
    return evaluate(module.spec, trained.store, module, trained.request)
