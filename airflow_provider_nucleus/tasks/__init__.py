"""Parts that operators and sensors share: arguments, results, memory, deferring, retrying."""
