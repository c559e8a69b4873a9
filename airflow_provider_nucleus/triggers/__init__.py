"""Waiting in the triggerer: asynchronous, without a worker, one poll for all waits of a connection."""
