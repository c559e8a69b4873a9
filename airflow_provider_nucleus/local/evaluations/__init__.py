"""Evaluations V2 on stored objects: labels and rules, reading, matching, result files, charts, examples."""
