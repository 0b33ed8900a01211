"""What any service needs: clock, logs, event loop, tasks, systemd, shipped files."""
