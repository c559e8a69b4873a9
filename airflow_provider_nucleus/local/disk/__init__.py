"""Files on disk: whole and durable, full disks told, the server's own told from a stranger's."""
