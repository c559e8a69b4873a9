"""The embedded Nucleus: the REST contract with a real store, real jobs and a real engine, on one machine."""
