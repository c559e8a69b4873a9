"""Reports of a judgement: one HTML file that is readable without style and script, `metrics.json` and `report.md`. Pure: no Airflow.

A `Judgement` and what else is known (`extras.py`) become a typed context (`context.py`), which the templates place. The same numbers
are in all three files, written by the same functions (`numbers.py`). Nothing here reads a file or an address by itself: the bytes
of images come through a function that the caller gives.
"""
