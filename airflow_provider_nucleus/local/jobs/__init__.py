"""Background work: a small pool runs the jobs of the store, and picks up after a crash where they were."""
