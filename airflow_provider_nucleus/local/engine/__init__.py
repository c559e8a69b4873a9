"""Stored rows as the engine takes them: sides, shapes, masks, and the rows of a match."""
