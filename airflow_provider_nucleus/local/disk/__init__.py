"""Files on disk: whole and durable, full disks reported, the server's own apart from foreign ones."""
