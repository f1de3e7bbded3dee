"""Titles and captions of the figures of training curves, batch and compute."""

TRAINING_CAPTIONS = {
    "compute_frontier": (
        "Loss against compute along the training curves",
        "The lowest training loss of all curves at each compute (C: {flops}), as the runs spent it on the left, and as "
        "training at a batch far below critical would spend it on the right. Only the part is shown where the best "
        "size has a smaller and a larger one beside it; colour is that size (N: {params}). Dotted: the published "
        "exponent through the middle of our points, whose scale is that of another text.",
    ),
    "optimal_scaling": (
        "The best size and its steps against compute",
        "On the envelope of the training curves, against compute (C: {flops}) at the runs' batch and against C_min. "
        "Lines are power laws; dotted lines have the published exponents.",
    ),
    "allocation_stack": (
        "What a larger budget buys",
        "The factor by which serial steps, batch and model size grow with the compute, by the exponents of C_min on "
        "the left and by Table 6 of Kaplan et al. 2020 on the right. To a billion times the compute, as in the paper: "
        "far beyond anything measured here.",
    ),
    "wrong_sizes": (
        "What a wrong size costs",
        "Compute and steps to the same loss by a model of another size than the best one, from the exponents of the "
        "law of training curves with their {level} band (Kaplan et al. 2020, Eq B.16 and B.17).",
    ),
    "contradiction": (
        "Where the laws contradict each other",
        "L(C_min) by our law of training curves and critical batch, and the loss that as many tokens as it uses allow, "
        "by L(D). Beyond the star both cannot hold. The bar is the {level} interval of the compute there. On the right "
        "the paper's own laws, in two of their readings.",
    ),
    "critical_batch": (
        "The critical batch",
        "Points: B_crit by the hyperbola of each loss with its {level} interval. Thin lines: the gradient noise scale "
        "that the runs measured. Orange: one law through all hyperbolas, with its {level} band.",
    ),
    "batch_hyperbolas": (
        "Steps and tokens to each loss",
        "Each point is a batch, at the best of the rates that it was tried at; colour is the loss. Lines are "
        "hyperbolas of steps and tokens, crosses their points at the critical batch. Hollow points: the best rate was "
        "the lowest or highest of those tried.",
    ),
    "training_law": (
        "One law for all training curves",
        "The longest run of each size after its warmup and before its cooldown, with L(N, S_min). In the middle and on "
        "the right the same curves after some steps, and after some compute.",
    ),
    "depth_series": (
        "Does depth matter?",
        "Test loss of the same runs against all parameters on the left and against those without embeddings on the "
        "right, one series for each depth, with one power law through all models that have layers.",
    ),
    "functional_forms": (
        "Which form of L(N)?",
        "A power law, a power law with a constant and a logarithm, fitted to the same runs; on the right what each "
        "leaves. The smaller AICc is preferred; all extend far beyond the data only to show where they part.",
    ),
    "sample_efficiency": (
        "Larger models need fewer steps and fewer tokens",
        "The fewest steps and tokens to a training loss (colour), by the critical batch, against size (N: {params}).",
    ),
}
