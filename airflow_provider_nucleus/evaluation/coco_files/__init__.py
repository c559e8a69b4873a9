"""COCO files as columns: ids, shapes, documents."""
