"""Evolutionary search for the structures of lowest energy."""
