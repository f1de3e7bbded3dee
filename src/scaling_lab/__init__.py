"""Scaling Lab: a laboratory for the scaling laws of language models."""
