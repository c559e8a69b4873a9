"""The tasks: datasets, models, items, uploads, metrics. They use hooks and triggers and make no HTTP calls themselves."""
