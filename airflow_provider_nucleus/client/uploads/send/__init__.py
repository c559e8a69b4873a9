"""Chunks on their way: requests, jobs, pace, outcomes."""
