"""Requests, checked: fields, filters, rules, match options, the query language."""
