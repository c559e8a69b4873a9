"""Readers: pure functions of a match. Precision, curves, confusion, TIDE, calibration, comparison."""
