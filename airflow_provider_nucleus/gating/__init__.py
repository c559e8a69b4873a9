"""Is the model good enough: pure functions over what the server matched. No Airflow, no HTTP."""
