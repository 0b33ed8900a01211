"""What `RAS`, pump events, associations and acknowledgements become: the facts, by whose word, and when."""

import msgspec
import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import InboundFormat, Receipt, ServedCaps
from gateway.messages.vocabulary import EhrWords, MarAct
from gateway.session import facts
from gateway.session.facts import AgentClass, EndSource, WorkKind
from gateway.session.infusion import infusions
from tests.unit.gateway.messages.hl7_support import (
    EHR_SITE,
    EMPTY,
    VISIT,
    WORDS,
    accepted,
    facts_of,
    format_of,
    hl7,
    kinds,
    receipt,
    refusal,
)
from tests.unit.gateway.messages.inbound.inbound_support import CAP, LONE_CAP, NOW, OTHER_CAP, us
from tests.unit.gateway.messages.inbound.infusion_facts import END, KNOWN, POLICY, START

AMENDED, CHARTED = us("2026-03-10T15:20:00+00:00"), us("2026-03-10T17:09:00+00:00")


def ends(*payloads: bytes) -> int | None:
    """When the infusion is over by all that is said; None while it is not."""
    read_facts = [
        msgspec.structs.replace(fact, known_at_us=fact.known_at_us + number)
        for number, payload in enumerate(payloads)
        for fact in facts_of(payload, KNOWN)
    ]
    end = infusions(read_facts, POLICY).end
    return None if end is None else end.at_us


# --- the MAR


def test_the_mar_starts_ends_and_amends() -> None:
    started = facts.InfusionStarted(
        at_us=START,
        known_at_us=NOW,
        order="RX55821",
        patient=VISIT,
        admin=AgentClass.CHEMO,
        msg="MAR|MAR0009908",
        administration="0/1",
        charted_us=us("2026-03-10T13:31:00+00:00"),
        began_us=START,
    )
    assert facts_of(hl7("ras_o17_start")) == (started,)
    assert facts_of(hl7("ras_o17_complete"))[1] == facts.InfusionEnded(
        at_us=END,
        known_at_us=NOW,
        order="RX55821",
        patient=VISIT,
        admin=AgentClass.CHEMO,
        msg="MAR|MAR0009912",
        administration="0/1",
        charted_us=us("2026-03-10T15:02:00+00:00"),
        began_us=START,
    )
    assert facts_of(hl7("ras_o17_amended_end"))[1] == facts.InfusionEndCorrected(
        at_us=CHARTED,
        known_at_us=NOW,
        order="RX55821",
        patient=VISIT,
        admin=AgentClass.CHEMO,
        msg="MAR|MAR0009931",
        administration="0/1",
        charted_us=CHARTED,
        began_us=START,
        replaces=True,
        version=CHARTED,
        new_end_us=AMENDED,
    )
    assert ends(hl7("ras_o17_start")) is None
    assert ends(hl7("ras_o17_start"), hl7("ras_o17_complete")) == END
    assert ends(hl7("ras_o17_start"), hl7("ras_o17_complete"), hl7("ras_o17_amended_end")) == AMENDED


def test_the_identifiers_travel_beside_the_facts_and_only_those_that_the_site_keeps() -> None:
    who = Identity(VISIT, "V770012", "90001234", "770012", None, None, None, "DEMO", "DEMO", "DEMO")
    assert accepted(hl7("ras_o17_start")).identities == (who,)
    everything = frozenset({"mrn", "account", "name", "birth_date", "sex"})
    keen = msgspec.structs.replace(EHR_SITE, words=msgspec.structs.replace(WORDS, kept=everything))
    assert accepted(hl7("ras_o17_start"), keen).identities == (
        msgspec.structs.replace(who, name="TESTPATIENT^ALPHA", birth_date="1970-01-01", sex="F"),
    )
    shy = msgspec.structs.replace(EHR_SITE, words=msgspec.structs.replace(WORDS, kept=frozenset()))
    assert accepted(hl7("ras_o17_start"), shy).identities == (Identity(VISIT, "V770012", visit_authority="DEMO"),)


def test_the_record_number_is_the_one_of_its_type() -> None:
    for written, number in [
        ("1^^^X^SS~90001234^^^DEMO^MR", "90001234"),
        ("90001234", "90001234"),
        ("Unknown Patient^^^GW^PI", None),
        ("^^^^MR", None),
        ('""^^^DEMO^MR', None),
    ]:
        (identity,) = accepted(hl7("ras_o17_start", PID_3=written)).identities
        assert identity.mrn == number, written


UNCLEAR = {
    "an end that equals the start": {"RXA_4": "20260310093000-0400"},
    "no end": {"RXA_4": ""},
    "an order in progress": {"ORC_5": "IP"},
    "a partial administration": {"RXA_20": "PA", "ORC_5": "IP"},
    "a partial administration of a complete order that is not charted as stopped": {"RXA_20": "PA", "RXA_9": ""},
    "a new bag": {"RXA_9": "NEWBAG"},
    "a change of rate": {"RXA_9": "x^Rate Change^L"},
    "a pause": {"RXA_9": "HELD"},
    "neither completion nor a word": {"RXA_20": "", "RXA_9": ""},
    "a pause in the other coding": {"RXA_9": "STOPPED^Stopped^L^P^Paused^X"},
    "a pause in the second repetition": {"RXA_9": "STOPPED^Stopped^L~HELD"},
    "a new bag, written with two blanks": {"RXA_9": "New  Bag"},
    **{f"ORC-5 {state}": {"ORC_5": state} for state in ("HD", "CA", "SC", "ER", "~HD", "CM~HD", "^HD")},
    **{f"ORC-1 {control}": {"ORC_1": control} for control in ("HD", "OC", "CA")},
}


@pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR)
def test_an_end_that_is_not_clear_starts_no_count(unclear: dict[str, str]) -> None:
    payload = hl7("ras_o17_complete", **unclear)
    assert kinds(payload) == ["InfusionStarted"]
    assert ends(hl7("ras_o17_start"), payload) is None


CLEAR = {
    "complete": {},
    "complete, without a word": {"RXA_9": ""},
    "complete, with a code of another system and a word that is known": {"RXA_9": "17^Stopped^L"},
    "complete, with a word of the other coding": {"RXA_9": "^^^17^STOPPED^L"},
    "no completion, but stopped": {"RXA_20": ""},
    "partial, stopped and discontinued": {"RXA_20": "PA", "ORC_5": "DC"},
    "no state of the order": {"ORC_5": ""},
    "no action": {"RXA_21": ""},
}


@pytest.mark.parametrize("clear", CLEAR.values(), ids=CLEAR)
def test_a_clear_end_ends(clear: dict[str, str]) -> None:
    assert ends(hl7("ras_o17_complete", **clear)) == END


UNKNOWN = ["Rate Decreased", "Titrated", "Bolus", "Stopped (temporarily)", "17^given in full^L", "^^^9^Titrated^L"]


@pytest.mark.parametrize("word", UNKNOWN)
def test_a_word_that_nobody_knows_is_a_note_and_work_and_nothing_else(word: str) -> None:
    payload = hl7("ras_o17_complete", RXA_9=word)
    answer = accepted(payload)
    assert answer.unknown == ("RXA-9",)
    assert "in no table" in answer.note
    (raised,) = answer.facts
    assert isinstance(raised, facts.WorkRaised)
    assert (raised.what, raised.patient, raised.order) == (WorkKind.UNKNOWN_WORD, VISIT, "RX55821")
    assert refusal(payload, msgspec.structs.replace(EHR_SITE, bound=ServedCaps(), treated=())).startswith(
        "ignored unknown-word"
    ), "without a session it is a note"


def test_a_text_that_nobody_knows_makes_an_end_unclear_whatever_its_code() -> None:
    payload = hl7("ras_o17_complete", RXA_9="STOPPED^Stopped (temporarily)^L")
    assert kinds(payload) == ["WorkRaised", "InfusionStarted"]
    assert ends(payload) is None


STEPS = {
    "New Bag": ["InfusionStarted"],
    " new  BAG ": ["InfusionStarted"],
    "Rate Change": ["InfusionStarted"],
    "Stopped": ["InfusionEnded"],
    "Given": ["InfusionStarted", "InfusionEnded"],
}


@pytest.mark.parametrize(("word", "become"), STEPS.items(), ids=STEPS)
def test_a_step_of_the_mar_happened_at_rxa_3(word: str, become: list[str]) -> None:
    payload = hl7("ras_o17_complete", RXA_20=word, RXA_9="", RXA_4="")
    assert kinds(payload) == become
    assert {fact.at_us for fact in facts_of(payload)} == {START}


@pytest.mark.parametrize("word", ["Held", "Not Given", "Refused", "Missed"])
def test_a_dose_that_was_held_or_not_given_starts_nothing(word: str) -> None:
    for site in (EHR_SITE, KNOWN):
        assert refusal(hl7("ras_o17_complete", RXA_20=word, RXA_9="", RXA_4=""), site).startswith(
            "ignored nothing-given"
        )


def test_steps_of_the_mar_start_and_end_the_infusion() -> None:
    def step(word: str, at: str, charted: str, action: str = "A") -> bytes:
        day = "20260310"
        return hl7(
            "ras_o17_complete",
            RXA_3=f"{day}{at}00-0400",
            RXA_4="",
            RXA_9="",
            RXA_20=word,
            RXA_21=action,
            RXA_22=f"{day}{charted}00-0400",
        )

    bags = [step("New Bag", "0900", "0901"), step("Rate Change", "0930", "0931"), step("New Bag", "0950", "0951")]
    assert ends(*bags) is None
    ended = us("2026-03-10T15:00:00+00:00")
    assert ends(*bags, step("Stopped", "1100", "1101")) == ended
    assert ends(*bags, step("Stopped", "1100", "1101"), step("Stopped", "0949", "1130")) == ended, "bag 1, charted late"
    assert ends(*bags, step("Stopped", "1100", "1101"), step("Stopped", "1110", "1130", "U")) == ended + 600_000_000
    assert ends(*bags, step("Stopped", "1100", "1101"), step("Stopped", "1100", "1130", "D")) is None
    assert ends(*bags, step("Stopped", "1100", "1101"), step("New Bag", "1105", "1106")) is None


@pytest.mark.parametrize("word", [{"RXA_9": "Given"}, {"RXA_9": "", "RXA_20": "Given"}])
def test_a_push_starts_and_ends_at_its_time(word: dict[str, str]) -> None:
    push = hl7("ras_o17_complete", RXA_4="20260310093000-0400", **word)
    assert kinds(push) == ["InfusionStarted", "InfusionEnded"]
    assert ends(push) == START


def test_the_site_may_give_its_words_a_meaning() -> None:
    words = msgspec.structs.replace(WORDS, mar=WORDS.mar.with_words({"Stopped": MarAct.PAUSE}))
    assert kinds(hl7("ras_o17_complete"), msgspec.structs.replace(EHR_SITE, words=words)) == ["InfusionStarted"]


def test_an_end_with_a_date_alone_is_told_and_counts_nothing() -> None:
    for text in ("20260310", "2026031011"):
        payload = hl7("ras_o17_complete", RXA_4=text)
        (_, end) = facts_of(payload)
        assert isinstance(end, facts.InfusionEnded)
        assert end.no_time
        assert ends(payload) is None


@pytest.mark.parametrize(
    "withdrawn", [{"RXA_21": "D"}, {"RXA_20": "RE"}, {"RXA_20": "NA"}], ids=["deleted", "refused", "not given"]
)
def test_what_is_taken_back_leaves_no_end_and_work_for_a_person(withdrawn: dict[str, str]) -> None:
    payload = hl7("ras_o17_complete", **withdrawn)
    if "RXA_21" in withdrawn:
        assert kinds(payload) == ["InfusionEndVoided"], "what it takes back may still come"
    else:
        assert refusal(payload).startswith("ignored nothing-given")
    assert kinds(payload, KNOWN) == ["InfusionEndVoided", "WorkRaised"]
    assert ends(hl7("ras_o17_start"), hl7("ras_o17_complete"), payload) is None


def test_an_update_that_runs_on_takes_back_the_end() -> None:
    running = hl7("ras_o17_start", RXA_21="U", RXA_22="20260310113000-0400")
    assert kinds(running) == kinds(running, KNOWN) == ["InfusionStarted"]
    assert ends(hl7("ras_o17_start"), hl7("ras_o17_complete"), running) is None
    assert ends(hl7("ras_o17_start"), running, hl7("ras_o17_amended_end")) == AMENDED


def test_drug_codes_become_classes_and_unknown_ones_presumed_chemo() -> None:
    def read_facts(code: str) -> tuple[str, AgentClass | None, bool]:
        fact = facts_of(hl7("ras_o17_start", RXA_5=code))[0]
        assert isinstance(fact, facts.InfusionStarted | facts.FlushStarted)
        return type(fact).__name__, fact.admin, fact.presumed

    assert read_facts("SALINE^Saline^L") == ("InfusionStarted", AgentClass.HYDRATION, False)
    assert read_facts("x^y^z^pacli^Paclitaxel^L") == ("InfusionStarted", AgentClass.CHEMO, False)
    assert read_facts("FLUSH") == ("FlushStarted", AgentClass.FLUSH, False)
    assert read_facts("NEWDRUG^New^L") == ("InfusionStarted", AgentClass.CHEMO, True)
    assert "in no table" in accepted(hl7("ras_o17_start", RXA_5="NEWDRUG")).note
    assert kinds(hl7("ras_o17_complete", RXA_5="FLUSH")) == ["FlushStarted", "FlushEnded"]


def test_every_administration_of_a_message_counts() -> None:
    text = hl7("ras_o17_complete").decode() + hl7("ras_o17_start", ORC_2="RX2").decode().split("\r", 3)[3]
    assert [getattr(fact, "order", "") for fact in facts_of(text.encode())] == ["RX55821", "RX55821", "RX2"]


def test_a_chair_that_serves_somebody_else_is_work_for_a_person_once() -> None:
    other = msgspec.structs.replace(EHR_SITE, bound=ServedCaps({CAP: "s(other)"}))
    (raised, started) = facts_of(hl7("ras_o17_start"), other)
    assert isinstance(raised, facts.WorkRaised)
    assert (raised.what, raised.cap, raised.patient) == (WorkKind.CHAIR_DISAGREES, CAP, VISIT)
    assert isinstance(started, facts.InfusionStarted)
    again = msgspec.structs.replace(other, has_work={(WorkKind.CHAIR_DISAGREES, CAP, VISIT, "")}.__contains__)
    assert kinds(hl7("ras_o17_start"), again) == ["InfusionStarted"]
    assert kinds(hl7("ras_o17_start"), msgspec.structs.replace(other, is_done="s(other)".__eq__)) == ["InfusionStarted"]


def test_whose_it_is_comes_from_the_visit_or_from_the_chair() -> None:
    assert facts_of(hl7("ras_o17_start", PV1_19=""))[0] == msgspec.structs.replace(facts_of(hl7("ras_o17_start"))[0])
    assert accepted(hl7("ras_o17_start", PV1_19="")).identities == ()
    assert refusal(hl7("ras_o17_start", PV1_19=""), EMPTY).startswith("ignored no-visit")
    assert refusal(hl7("ras_o17_start", PV1_19="", PV1_3="", RXA_11="")).startswith("rejected no-visit")
    assert refusal(hl7("ras_o17_start", PV1_3="B^X^Y", RXA_11=""), EMPTY).startswith("ignored not-ours")
    assert kinds(hl7("ras_o17_start", PV1_3="", RXA_11=""), EMPTY) == ["InfusionStarted"]
    assert kinds(hl7("ras_o17_start", PV1_3="B^X^Y")) == ["InfusionStarted"], "the visit is known, wherever it is"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"RXA_3": ""}, "rejected bad-time: RXA-3: missing"),
        ({"RXA_3": "soon"}, "rejected bad-time: RXA-3: no date"),
        ({"RXA_3": "20261345"}, "rejected bad-time: RXA-3: no such date"),
        ({"RXA_3": "20260310093000"}, "rejected bad-time: RXA-3: the offset is missing"),
        ({"RXA_3": "20260310093000-0460"}, "rejected bad-time: RXA-3: no such offset"),
        ({"RXA_3": "20260310093000-4"}, "rejected bad-time: RXA-3: no date"),
        ({"RXA_3": "19260310093000-0400"}, "rejected bad-time: RXA-3: the year"),
        ({"RXA_4": "20260310083000-0400"}, "rejected bad-time: RXA-4: before RXA-3"),
        ({"RXA_21": "X"}, "rejected bad-data: RXA-21"),
        ({"ORC_2": "", "ORC_3": ""}, "rejected bad-data: ORC-2"),
        ({"ORC_2": "x" * 65}, "rejected bad-data: ORC-2: too long"),
        ({"PV1_19": "x" * 65}, "rejected bad-data: PV1-19: too long"),
        ({"MSH_10": ""}, "rejected bad-envelope: MSH-10"),
    ],
)
def test_what_cannot_be_meant_is_rejected_with_what_to_mend(change: dict[str, str], says: str) -> None:
    assert refusal(hl7("ras_o17_complete", **change)).startswith(says)


@pytest.mark.requirement("REQ-CHARGE-6")
def test_a_test_message_changes_nothing_on_a_live_gateway() -> None:
    live = msgspec.structs.replace(EHR_SITE, live=True)
    assert refusal(hl7("ras_o17_start", MSH_11="T"), live).startswith("ignored test-message")
    assert kinds(hl7("ras_o17_start"), live) == kinds(hl7("ras_o17_start", MSH_11="T"))


# --- pumps


def test_a_pump_starts_and_its_end_is_a_hint() -> None:
    started, ended = facts_of(hl7("oru_r42_pcd10_start"))[0], facts_of(hl7("oru_r42_pcd10_complete"))[0]
    assert isinstance(started, facts.InfusionStarted)
    assert (started.at_us, started.order, started.patient, started.admin) == (
        START,
        "RX55821",
        VISIT,
        AgentClass.CHEMO,
    )
    assert isinstance(ended, facts.InfusionEnded)
    assert (ended.at_us, ended.source) == (END, EndSource.PUMP)
    assert "hint" in accepted(hl7("oru_r42_pcd10_complete")).note
    story = [hl7(f"oru_r42_pcd10_{name}") for name in ("start", "stop", "resume", "complete")]
    assert ends(*story) is None
    assert ends(*story, hl7("ras_o17_complete")) == END


@pytest.mark.parametrize(
    "code",
    [
        "0^MDCX_PUMP_DELIV_START",
        "0^MDCX_EVT_PUMP_DELIV_START^MDC",
        "0^MDC_EVT_PUMP_DELIV_START^MDC",
        "197288^MDC_EVT_PUMP_DELIV_START^MDC",
        "MDC_EVT_PUMP_DELIV_START",
        "1^local^L^197288^MDC_EVT_PUMP_DELIV_START^MDC",
    ],
)
def test_events_are_known_by_the_end_of_their_name(code: str) -> None:
    assert kinds(hl7("oru_r42_pcd10_start", OBX3_5=code)) == ["InfusionStarted"]


def test_keep_vein_open_and_other_events_start_nothing() -> None:
    assert refusal(hl7("oru_r42_pcd10_kvo_start_legacy")) == "ignored no-infusion: keep vein open: no agent runs"
    assert refusal(hl7("oru_r42_pcd10_start", OBX3_5="0^MDC_EVT_PUMP_DELIV_START_X")).startswith("ignored not-used")
    assert refusal(hl7("oru_r42_pcd10_start", OBX3_11="D")).startswith("ignored no-infusion: OBX-11")
    assert refusal(hl7("oru_r42_pcd10_start", OBR_2="")).startswith("ignored no-infusion: OBR-2")


def test_the_same_comes_as_r01_and_with_or_without_a_patient() -> None:
    assert kinds(hl7("oru_r42_pcd10_start", MSH_9="ORU^R01^ORU_R01")) == ["InfusionStarted"]
    assert accepted(hl7("oru_r42_pcd10_start")).identities == ()
    assert refusal(hl7("oru_r42_pcd10_start"), EMPTY).startswith("ignored no-visit")
    assert refusal(hl7("oru_r42_pcd10_start", PV1_3="X^Y^Z"), EMPTY).startswith("ignored not-ours")


def test_it_happened_when_obx_14_says_else_obr_7_and_never_when_it_was_sent() -> None:
    moved = hl7("oru_r42_pcd10_start", OBX3_14="20260310094500-0400")
    assert facts_of(moved)[0].at_us == START + 15 * 60_000_000
    assert facts_of(hl7("oru_r42_pcd10_start", OBX3_14=""))[0].at_us == START
    assert refusal(hl7("oru_r42_pcd10_start", OBX3_14="", OBR_7="")).startswith("rejected bad-time: OBX-14 or OBR-7")


# --- associations


def test_an_association_binds_and_releases_the_cap() -> None:
    assert facts_of(hl7("oru_r01_dev52_associate")) == (
        facts.PatientBound(
            at_us=us("2026-03-10T12:55:00+00:00"),
            known_at_us=NOW,
            cap=CAP,
            patient=VISIT,
            evidence="association",
            msg="ASSOCMGR|ASC000551",
        ),
    )
    assert kinds(hl7("oru_r01_dev52_disassociate")) == ["PatientReleased"]


def test_how_sure_an_association_is_decides() -> None:
    assert kinds(hl7("oru_r01_dev52_associate", OBX_11="C")) == ["PatientBound"]
    assert refusal(hl7("oru_r01_dev52_associate", OBX_11="R")).startswith("ignored unconfirmed")
    for status in ("W", "D"):
        (void,) = facts_of(hl7("oru_r01_dev52_associate", OBX_11=status))
        assert isinstance(void, facts.BindingVoided)
        assert (void.cap, void.patient) == (CAP, VISIT)


def test_device_and_chair_name_the_cap_together() -> None:
    def cap(**changes: str) -> object:
        return getattr(facts_of(hl7("oru_r01_dev52_associate", **changes))[0], "cap", None)

    assert cap(PRT_9="INFA^BAY3^C13") == OTHER_CAP
    assert cap(PRT_10="cap-08", PRT_9="", PV1_3="") == LONE_CAP
    assert cap(PRT_10="") == CAP, "the chair alone"
    assert refusal(hl7("oru_r01_dev52_associate", PRT_10="PUMP9")).startswith("ignored not-ours: PRT-10")
    assert refusal(hl7("oru_r01_dev52_associate", PRT_9="", PV1_3="X")).startswith("rejected no-cap")
    assert refusal(hl7("oru_r01_dev52_associate", PRT_10="", PRT_9="", PV1_3="X")).startswith("ignored not-ours")
    assert refusal(hl7("oru_r01_dev52_associate", PV1_19="")).startswith("rejected no-visit")


def test_an_association_that_ends_another_patients_goes_to_the_work_list() -> None:
    other = msgspec.structs.replace(EHR_SITE, bound=ServedCaps({CAP: "s(other)"}))
    assert kinds(hl7("oru_r01_dev52_associate"), other) == ["PatientBound", "WorkRaised"]
    free = msgspec.structs.replace(other, is_done="s(other)".__eq__)
    assert kinds(hl7("oru_r01_dev52_associate"), free) == ["PatientBound"]


# --- acknowledgements, and everything else


def test_an_acknowledgement_is_a_receipt() -> None:
    assert receipt(hl7("ack_aa")) == Receipt("EHR|EHR884401", "CG9RX2M7KQ401A", "accepted")
    refused = receipt(hl7("ack_ae"))
    assert (refused.result, refused.code) == ("rejected", "204")
    assert refused.text.startswith("Visit not open")
    assert refusal(hl7("ack_aa", MSA_2="")).startswith("rejected bad-data: MSA-1 or MSA-2")


def test_what_is_not_used_is_ignored_and_says_what_is() -> None:
    assert refusal(hl7("ras_o17_start", MSH_9="ORM^O01")).startswith("ignored not-used: MSH-9")
    assert refusal(hl7("adt_a04_register", MSH_9="ADT^A38")).startswith(
        "ignored not-used: MSH-9: not used here; used are ADT A01, A02, A03, A04, A06, A07, A08, A11, A12, A13, A17"
    )
    assert refusal(b"MSH|^~").startswith("rejected not-hl7: MSH-1")


def test_the_format_is_known_by_the_content() -> None:
    assert format_of(hl7("ras_o17_start")) is InboundFormat.HL7V2
    assert format_of(b"\x0b" + hl7("ras_o17_start") + b"\x1c\r") is InboundFormat.HL7V2
    assert format_of(b'{"resourceType": "Patient"}') is InboundFormat.FHIR
    assert format_of(b'{"specversion": "1.0"}') is InboundFormat.JSON
    assert format_of(b"nonsense") is InboundFormat.JSON
    assert kinds(b"\x0b" + hl7("ras_o17_start") + b"\x1c\r") == ["InfusionStarted"]
    assert refusal(hl7("ras_o17_start", PID_5="x" * 70_000)).startswith("rejected too-large")


def test_words_of_the_site_are_looked_up_without_regard_to_case() -> None:
    assert EhrWords(drugs={"pacli": AgentClass.CHEMO}).agent(("", " PACLI ")) is AgentClass.CHEMO
    assert EhrWords().agent(("PACLI",)) is None
