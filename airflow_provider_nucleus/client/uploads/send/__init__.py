"""Sending of the spooled chunks: requests, jobs, and what the server did with the rows."""
