"""One side of a comparison: columns, label vocabularies, size ranges."""
