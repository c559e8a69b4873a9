"""The store: one DuckDB file, one module per resource with its rules and SQL. Nothing here knows HTTP requests."""
