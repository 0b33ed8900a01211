"""The closed set of alarm codes of units, independent of the maker's names."""

from enum import StrEnum


class UnitAlarmCode(StrEnum):
    """Canonical alarm codes; a profile maps the unit's bits and texts to these."""

    COOLANT_LOW = "coolant-low"
    COOLANT_WARM = "coolant-warm"
    COOLANT_COLD = "coolant-cold"
    RETURN_WARM = "return-warm"
    OVER_TEMPERATURE = "over-temperature"
    FLOW_LOW = "flow-low"
    PRESSURE_HIGH = "pressure-high"
    PRESSURE_LOW = "pressure-low"
    PUMP_FAULT = "pump-fault"
    REFRIGERATION_FAULT = "refrigeration-fault"
    SAFETY_CUTOUT = "safety-cutout"
    SUPPLY_PROBE = "supply-probe"
    RETURN_PROBE = "return-probe"
    CAP_FRONT_PROBE = "cap-front-probe"
    CAP_BACK_PROBE = "cap-back-probe"
    CAP_SAFETY_PROBE = "cap-safety-probe"
    OTHER_PROBE = "other-probe"
    CONTROL_LOOP = "control-loop"  # the controller no longer moves its process value
    CONTROLLER_FAULT = "controller-fault"  # memory, internal bus
    COMMUNICATION_FAULT = "communication-fault"
    EXTERNAL_CONTACT = "external-contact"
    MAINTENANCE_DUE = "maintenance-due"
    PROCESS_ALARM = "process-alarm"  # a threshold that the site has configured in the unit
    UNIT_FAULT = "unit-fault"  # the unit has stopped and gives no cause
    UNIT_WARNING = "unit-warning"  # the unit warns, goes on, and gives no cause


class Severity(StrEnum):
    """The effect of an alarm on cooling."""

    STOP = "stop"  # the unit has stopped
    WARNING = "warning"  # it goes on, someone should look
    QUALITY = "quality"  # a value cannot be trusted
