"""Matching: candidate pairs, the greedy kernel, Nucleus' match and COCO's, their counts, partitions."""
