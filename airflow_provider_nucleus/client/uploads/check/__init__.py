"""The input, read once before anything is sent: validated, encoded, spooled, quarantined."""
