"""The mathematics of model evaluation: arrays in, plain results out.

Needs NumPy (shapely, orjson and duckdb only where a module says so). Of this project it imports the version, and the arithmetic and
words that it shares with the tasks (`rates`, `undefined_reasons`).

| step | modules |
| --- | --- |
| array types, and numbers that may be undefined | `arrays`, `metric` |
| columns of one side, label vocabularies, match policies, size ranges | `sides.*` |
| overlap of shapes: boxes, polygons, cuboids, masks, keypoints | `overlap.*` |
| candidate pairs, and the one greedy kernel | `matching.pairs`, `matching.greedy` |
| Nucleus matching (by overlap, one to one, no threshold) and its counts | `matching.nucleus`, `matching.counts` |
| COCO matching (by confidence, at every threshold) | `matching.coco`, `matching.coco_order` |
| partitions and workers, merged bit for bit | `matching.partition` |
| COCO's curves and named numbers | `readers.accumulate`, `readers.summarize`, `readers.coco` |
| other readers: pure functions of a match | `readers.confusion`, `readers.tide`, `readers.calibration`, ... |
| scores of whole images: categories, semantic and panoptic masks | `images.*` |
| COCO files, and the report of the command `nucleus-local evaluate` | `coco_files.*`, `report` |

Two families of numbers are never mixed under one name: what the field calls AP, AP50 or AR100 is always COCO's.
"""
