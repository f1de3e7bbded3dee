"""From text to token shards: sources, splits, tokenizers, shards and subsets. Nothing here needs torch."""
