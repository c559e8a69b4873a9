"""What an earlier attempt left: the record, the decision, jobs whose start had no answer."""
