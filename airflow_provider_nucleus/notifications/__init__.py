"""Notifiers: verdicts to chats and webhooks, from callbacks, from an approval that waits, and from deadlines."""
