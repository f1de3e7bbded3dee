"""Training: the only place that imports torch and lightning."""
