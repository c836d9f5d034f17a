"""Structures described, compared, brought to standard cells and repeated."""
