"""AsyncAPI description of all messages; dry run of inbound messages."""
