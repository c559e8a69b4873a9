"""The query language of the product guide: from text to a condition on items, without ever quoting a value into SQL."""
