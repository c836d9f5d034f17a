"""What a search has found, as files and as a page."""
