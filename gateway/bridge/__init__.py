"""The bridge between MQTT and the MLLP connections of an interface engine without MQTT."""
