"""What makes a dataset: text, its split and its tokenizer."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scaling_lab.frozen import Frozen

BuiltInSource = Literal["sotu", "books", "wiki", "hansard", "cookbook", "awsdocs", "sample"]


class CorpusConfig(Frozen):
    """Text to train on: built-in sources or your own files."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower-case name, used in folders and the report")
    sources: tuple[BuiltInSource, ...] = Field(default=(), description="built-in sources, downloaded and hash-checked")
    paths: tuple[str, ...] = Field(default=(), description="your own .txt, .txt.gz or .txt.xz files, folders or globs")
    unseen: tuple[str, ...] = Field(
        default=(), description="documents held out whole as a test of unseen sources, as `source/document`"
    )

    @model_validator(mode="after")
    def _some_text(self) -> Self:
        if not self.sources and not self.paths:
            raise ValueError("give `sources` (built-in) or `paths` (your own files)")
        return self


CORPORA = {
    "prose": CorpusConfig(
        name="prose", sources=("sotu", "books"), unseen=("books/carroll-alice", "books/chesterton-thursday")
    ),
    "technical": CorpusConfig(name="technical", sources=("awsdocs",)),
    "sample": CorpusConfig(name="sample", sources=("sample",)),
}


def _built_in_corpus(value: Any) -> Any:
    """The corpus that a name stands for."""
    if not isinstance(value, str):
        return value
    if value not in CORPORA:
        raise ValueError(f"{value!r} is not one of {', '.join(CORPORA)}; your own text is a mapping with `paths`")
    return CORPORA[value]


CorpusChoice = Annotated[CorpusConfig, BeforeValidator(_built_in_corpus)]
PlantedLaw = Literal["kaplan2020", "kaplan2020_table5", "kaplan2020_table6", "kaplan2020_naive"]


class SplitConfig(Frozen):
    """How blocks of text are divided, by a salted hash of their content, before anything else happens to them."""

    salt: str = Field(default="scaling-lab", description="another salt gives another split and another order")
    block_bytes: int = Field(default=16384, ge=256, description="documents are cut into blocks of at most this size")
    validation_fraction: float = Field(default=0.04, gt=0, lt=0.5, description="share of blocks for validation")
    test_fraction: float = Field(default=0.04, gt=0, lt=0.5, description="share of blocks for the test")


class TokenizerConfig(Frozen):
    """`bytes` (257 ids), `bpe` (byte-level, trained on the train split) or `gpt2` (50,257 ids)."""

    kind: Literal["bytes", "bpe", "gpt2"] = "bpe"
    vocab_size: int = Field(default=1024, ge=257, le=1 << 20, description="ids, for `bpe` only")

    @property
    def size(self) -> int:
        """Number of token ids."""
        return {"bytes": 257, "bpe": self.vocab_size, "gpt2": 50257}[self.kind]

    @property
    def name(self) -> str:
        """Short name for folders: bytes, bpe1024, gpt2."""
        return f"bpe{self.vocab_size}" if self.kind == "bpe" else self.kind


class DataConfig(Frozen):
    """What makes a dataset, and nothing else: its digest names the token store."""

    corpus: CorpusChoice = Field(default=CORPORA["prose"], description="`prose`, `technical`, `sample`, or a mapping")
    transfer: tuple[BuiltInSource, ...] = Field(default=(), description="built-in texts that are only evaluated on")
    split: SplitConfig = SplitConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    simulate: PlantedLaw | None = Field(
        default=None, description="train nothing: draw every loss from the laws that a paper published"
    )
