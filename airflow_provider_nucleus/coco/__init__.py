"""The rules of COCO files, for all who read them: the sources, the command line and the demonstration. Imports nothing of ours."""
