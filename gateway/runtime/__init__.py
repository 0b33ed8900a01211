"""Services of the process: clock, logs, event loop, tasks, addresses, HTTP, systemd, shipped files."""
