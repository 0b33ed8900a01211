"""One polling task for each line, its schedule, and the queue of readings for recording."""
