"""The routes of the REST contract: one module per resource, thin handlers, collected in ``collection.py``."""
