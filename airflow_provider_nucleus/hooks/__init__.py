"""Connections of Airflow as typed access to a Nucleus. Stands on the client; knows no operators and no triggers."""
