"""Judging a model: measurements, policies, verdicts and baselines. Pure: no Airflow, no server, no network.

A `Measurement` says what was measured, of which items, under which definition. A `Policy` is rules as data. `judge` holds a candidate's
measurement against a policy and a baseline and returns a `Verdict`: every rule with its evidence, and pass, fail or inconclusive.
The same policy gives the same verdict in Airflow, on the command line and in a test.
"""
