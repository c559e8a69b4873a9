"""Annotation files of other tools, read as they are: a module each, `reading` for what they share."""
