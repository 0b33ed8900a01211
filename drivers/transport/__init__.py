"""Open links that fill an inbox: serial, TCP, RFC 2217, memory."""
