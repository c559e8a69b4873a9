"""From a task in Airflow's interface to the page of what it worked on."""
