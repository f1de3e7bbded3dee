"""The report: one self-contained page that answers the question of a study first."""
