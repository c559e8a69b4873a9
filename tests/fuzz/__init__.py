"""Fuzzers: a script each, seeded and bounded; the slow tests run a tenth of each."""
