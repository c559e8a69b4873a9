"""The catalog: datasets, models, items, sets of objects, slices, jobs, benchmarks, evaluations."""
