"""Validation of the input before anything is sent: rows encoded and spooled, duplicates and bad rows set apart."""
