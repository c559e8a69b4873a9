"""Whole images: categories, semantic masks, panoptic segments."""
