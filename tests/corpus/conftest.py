"""The committed sample, from documents to shards, made once for all tests of the package."""

import pytest
from prepared_sample import Prepared, prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))
