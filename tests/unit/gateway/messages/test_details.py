"""What a charge says of what is stated: what the site wants, and nothing chosen."""

import pytest

from gateway.messages.details import NO_DETAILS, Detail, Details, Diagnosis, Person, of_charge

VISIT = Details(patient_class="R", attending=(Person("1"),), diagnoses=(Diagnosis("V1"), Diagnosis("V2")))
ORDER = Details(orderers=(Person("2"), Person("3")), diagnoses=(Diagnosis("O1"), Diagnosis("O2")))
ALL = frozenset(Detail)


def test_a_charge_says_all_that_is_stated_and_the_orders_diagnoses_alone() -> None:
    assert of_charge(ALL, "rn-1", VISIT, ORDER) == Details(
        patient_class="R",
        attending=VISIT.attending,
        orderers=ORDER.orderers,
        performers=(Person("rn-1"),),
        diagnoses=ORDER.diagnoses,
    )


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        (Detail.PATIENT_CLASS, Details(patient_class="R")),
        (Detail.ATTENDING, Details(attending=VISIT.attending)),
        (Detail.ORDERER, Details(orderers=ORDER.orderers)),
        (Detail.PERFORMER, Details(performers=(Person("rn-1"),))),
        (Detail.DIAGNOSIS, Details(diagnoses=ORDER.diagnoses)),
        (Detail.VISIT_DIAGNOSIS, Details(diagnoses=VISIT.diagnoses)),
        (Detail.DEVICE, NO_DETAILS),
        (Detail.PROCEDURE, NO_DETAILS),
    ],
)
def test_each_detail_is_said_where_the_site_wants_it(detail: Detail, said: Details) -> None:
    assert of_charge(frozenset({detail}), "rn-1", VISIT, ORDER) == said
    assert of_charge(frozenset(), "rn-1", VISIT, ORDER) == NO_DETAILS


def test_the_visits_diagnoses_stand_in_where_the_order_states_none() -> None:
    assert of_charge(ALL, "", VISIT, Details(orderers=ORDER.orderers)).diagnoses == VISIT.diagnoses
    assert of_charge(frozenset({Detail.DIAGNOSIS}), "", VISIT, NO_DETAILS) == NO_DETAILS


@pytest.mark.parametrize(("signer", "said"), [("9" * 15, True), ("9" * 16, False), ("", False)])
def test_whoever_signed_performed_if_the_name_fits_a_number(signer: str, said: bool) -> None:
    assert of_charge(ALL, signer, VISIT, ORDER).performers == ((Person(signer),) if said else ())


def test_what_is_stated_last_counts_field_by_field() -> None:
    assert Details(patient_class="I").over(VISIT) == Details(
        patient_class="I", attending=VISIT.attending, diagnoses=VISIT.diagnoses
    )
    assert Details(diagnoses=(Diagnosis("N"),)).over(VISIT).diagnoses == (Diagnosis("N"),)
