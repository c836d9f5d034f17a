"""Minimum-energy paths by nudged elastic bands."""
