"""Nucleus matching on stored objects: options, reading partitions of images, writing match rows."""
