"""What can be seen of a running gateway from outside: alarms, metrics, health."""
