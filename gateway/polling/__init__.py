"""Lines and their tasks: who is polled when; drivers become readings."""
