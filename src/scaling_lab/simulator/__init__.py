"""A stand-in for the trainer: losses drawn from published laws, in the files of real runs, marked as simulated."""
