from pathlib import Path

import pytest

from scaling_lab.errors import TableError
from scaling_lab.fits.folders import study_folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / "plans" / name).mkdir(parents=True)
        (tmp_path / "plans" / name / "plan.json").write_text(
            '{"basis": null, "provenance": {"simulated": false}}', encoding="utf-8"
        )
    return tmp_path


@pytest.mark.parametrize("typed", ["one", "fits/one", "plans/one"])
def test_a_study_by_any_of_its_folders(results: Path, typed: str) -> None:
    folder = study_folder(results / typed)
    assert (folder.results, folder.name) == (results, "one")
    assert folder.document("plan")["basis"] is None
    assert folder.optional_document("noise") is None


def test_documents_of_an_earlier_version_are_refused(results: Path) -> None:
    (results / "plans" / "one" / "noise.json").write_text('{"provenance": {}}', encoding="utf-8")
    with pytest.raises(TableError, match="an earlier version"):
        study_folder(results / "one").optional_document("noise")


def test_what_is_not_there_is_named_with_what_is(results: Path) -> None:
    with pytest.raises(TableError, match="has one, two"):
        study_folder(results / "three")
    with pytest.raises(TableError, match=r"noise.json: no such file"):
        study_folder(results / "one").document("noise")
