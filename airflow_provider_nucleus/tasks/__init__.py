"""What operators, sensors, decorators and task groups share: arguments, results, memory, deferring, retrying."""
