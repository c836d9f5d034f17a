"""The end of a search: its best once more, tightly, and by a teacher."""
