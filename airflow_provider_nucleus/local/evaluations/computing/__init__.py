"""Computing an evaluation: which items, which objects, what matched, written as one result."""
