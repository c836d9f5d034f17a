"""Molecular dynamics: ensembles, and the loop that runs them."""
