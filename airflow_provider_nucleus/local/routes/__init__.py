"""The routes of the REST contract: one module per resource, thin handlers, collected in `all_routes.py`.

Sections of the contract are numbered as in `docs/coverage.md`.
"""
