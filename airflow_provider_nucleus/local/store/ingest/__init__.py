"""Rows on their way into the store, checked and stored by the chunk."""
