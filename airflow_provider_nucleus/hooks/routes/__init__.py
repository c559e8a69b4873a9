"""The routes of Nucleus as methods of the hook, by what they are about."""
