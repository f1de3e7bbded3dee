from pathlib import Path

from scaling_lab.finished import OUTPUTS, adopt_finished, keep_finished


def finished(run: Path, manifest: Path) -> None:
    manifest.write_text("tokens")
    run.mkdir()
    for name in OUTPUTS:
        (run / name).write_text(f"content of {name}")
    keep_finished(run, manifest)


def test_removed_outputs_come_back(tmp_path: Path) -> None:
    run, manifest = tmp_path / "run", tmp_path / "manifest.json"
    finished(run, manifest)
    for name in OUTPUTS:
        (run / name).unlink()
    assert adopt_finished(run, manifest)
    assert [(run / name).read_text() for name in OUTPUTS] == [f"content of {name}" for name in OUTPUTS]


def test_a_run_on_other_tokens_is_another(tmp_path: Path) -> None:
    run, manifest = tmp_path / "run", tmp_path / "manifest.json"
    finished(run, manifest)
    manifest.write_text("other tokens")
    assert not adopt_finished(run, manifest)


def test_half_a_store_is_none(tmp_path: Path) -> None:
    run, manifest = tmp_path / "run", tmp_path / "manifest.json"
    finished(run, manifest)
    next(run.glob("finished/*/summary.json")).unlink()
    assert not adopt_finished(run, manifest)
