"""What goes over MQTT and comes from it, as bytes and as facts; pure."""
