"""Assets of a pipeline that evaluates models: `nucleus://` URIs, the assets that they name, and the content of their events."""
