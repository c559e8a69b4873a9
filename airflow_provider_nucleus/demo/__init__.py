"""The demonstration: rendered scenes, two pixel detectors, and the evaluation of both in real Airflow."""
