"""The pages of the embedded Nucleus: plain HTML drawn by the server, every state of which is a URL."""
