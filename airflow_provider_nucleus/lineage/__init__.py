"""Lineage of a task for OpenLineage: what it read, what it made, and which tests it held a model to. Loaded only where OpenLineage is."""
