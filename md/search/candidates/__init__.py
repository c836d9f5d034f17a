"""What a search knows: candidates, which of them are one, the best, and what may be missing."""
