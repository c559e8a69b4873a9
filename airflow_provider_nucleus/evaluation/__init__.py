"""The mathematics of model evaluation: arrays in, plain results out.

Needs NumPy (shapely, orjson and duckdb only where a module says so) and imports nothing else of this project.

| step | modules |
| --- | --- |
| columns of one side, label vocabularies and rules | `columns`, `labels`, `arrays` |
| overlap of shapes: boxes, polygons, cuboids, masks, keypoints | `overlap.*` |
| candidate pairs, and the one greedy kernel | `pairs`, `greedy` |
| Nucleus matching (by overlap, one to one, no threshold) and its counts | `matching`, `counts` |
| COCO matching (by confidence, at every threshold), curves, named numbers | `coco_match`, `accumulate`, `summarize`, `coco` |
| partitions and workers, merged bit for bit | `partition` |
| COCO files, and the report of the command `nucleus-local evaluate` | `cocojson`, `cocoids`, `cocobulk`, `report` |
| readers: pure functions of a match | `confusion`, `tide`, `calibration`, `histograms`, ... |

Two families of numbers are never mixed under one name: what the field calls AP, AP50 or AR100 is always COCO's.
"""
