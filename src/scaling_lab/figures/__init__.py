"""Figures of a study: tables and fits in, svg, png and the drawn numbers out."""
