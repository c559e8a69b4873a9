"""Messages: authentication, bodies, answers, page tokens, path templates."""
