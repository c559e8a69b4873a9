"""Reading a stored evaluation: charts, examples, scores, comparisons."""
