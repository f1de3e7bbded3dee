"""Which runs to train next: a study for a budget and a decision, or further cells of a study that exists."""
