"""The roles of people, as accounts and the configuration name them."""

from enum import StrEnum


class Role(StrEnum):
    """What a person is at the suite."""

    VIEWER = "viewer"  # looks, identifiers of patients included
    NURSE = "nurse"  # tells what happens at the chair
    CHARGE = "charge"  # and decides what is charged
    BIOMED = "biomed"  # swaps machines, looks for faults of lines
    ADMIN = "admin"  # all of it
