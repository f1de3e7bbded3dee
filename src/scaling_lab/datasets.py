"""What makes a token store: ids of corpora and datasets by content, so that studies share whatever is equal."""

from scaling_lab.config import CorpusConfig, DataConfig
from scaling_lab.spec import digest

# Begins the id of every dataset that holds no text: losses of its runs are drawn from a planted law.
SIMULATED = "simulated"


def source_id(corpus: CorpusConfig) -> str:
    """Folder of the user's own files under results/sources."""
    return f"{corpus.name}-{digest(corpus)}"


def source_ids(corpus: CorpusConfig) -> tuple[str, ...]:
    """Folders of the texts to train on: the built-in sources, and the user's files under the corpus's name."""
    return corpus.sources + ((source_id(corpus),) if corpus.paths else ())


def corpus_id(data: DataConfig) -> str:
    """Folder of the split corpus: its name and a digest of what it is made of."""
    return f"{data.corpus.name}-{digest(data.corpus, data.split)}"


def dataset_id(data: DataConfig) -> str:
    """Folder of the token store: a digest of corpus, split, tokenizer and transfer texts, and the planted law."""
    own = DataConfig(**{name: getattr(data, name) for name in DataConfig.model_fields})
    name = f"{SIMULATED}-{data.simulate}" if data.simulate else data.corpus.name
    return f"{name}-{data.tokenizer.name}-{digest(own)}"


def evaluation_sets(data: DataConfig) -> tuple[str, ...]:
    """Names of the token sets that every run is evaluated on."""
    unseen = ("unseen",) if data.corpus.unseen else ()
    return ("validation", "test", *unseen, *data.transfer)
