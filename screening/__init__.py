"""Screening modules on the shared backend: one folder per subject, none importing another."""
