"""How children come from parents: cut, strained, twisted, exchanged, displaced."""

from stratal.md.search.operators.registry import OPERATORS, Operator

__all__ = ["OPERATORS", "Operator"]
