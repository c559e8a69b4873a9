"""Resumption of an earlier attempt: its record, the decision about it, jobs whose start had no answer."""
