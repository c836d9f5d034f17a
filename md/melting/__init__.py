"""Melting points by coexistence of crystal and melt."""
