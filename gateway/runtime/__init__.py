"""Services of the process: clock, logs, event loop, tasks, systemd, shipped files."""
