"""The official client's own tests against the embedded server: `python -m tests.peer_suite`."""
