"""An embedded MQTT 5 and 3.1.1 broker for the demo and the tests, which injects faults on demand."""
