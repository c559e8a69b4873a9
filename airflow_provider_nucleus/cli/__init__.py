"""The command `nucleus-local` and its sub-commands."""
