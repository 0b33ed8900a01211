"""The rows of the scorecard: which tests show what, and how often they repeat for it."""

from enum import StrEnum
from typing import NamedTuple


class Repeat(StrEnum):
    """How a row gets its number of repeats."""

    INSIDE = "inside"  # the tests ask tests.scorecard.repeats
    WHOLE = "whole"  # each test runs that often from its beginning
    NONE = "none"  # the tests have their own fixed number


class Row(NamedTuple):
    """One row: its number, what it shows, its repeats, and pytest's names of its tests."""

    number: str
    shows: str
    repeats: int
    how: Repeat
    tests: tuple[str, ...]


_RELAY = "tests/broker/test_relay.py::test_"
_CLIENT = "tests/broker/test_client.py::test_"
_SERVICE = "tests/broker/test_service.py::test_"
_LINE = "tests/unit/drivers/test_line.py::test_"
_LINES = "tests/scorecard/test_lines.py::test_"
_PORTS = "tests/scorecard/test_ports.py::test_"
_CLINIC = "tests/scorecard/clinic.py::test_"
_CLOCKS = "tests/sim/test_clock_faults.py::test_"
_DOUBTS = "tests/unit/gateway/recording/test_clock_trust.py::test_"
_POWER = "tests/crash/test_power_cut.py::test_"

ON_REQUEST = frozenset({"R53", "R54", "R58"})  # for hours: only where they are named

ROWS = (
    Row(
        "R1", "broker killed under flow: 0 lost, 0 invented, repeats byte-equal", 20, Repeat.INSIDE,
        (f"{_RELAY}nothing_is_lost_when_the_broker_is_killed_again_and_again",),
    ),
    Row(
        "R2", "what waited for the broker drains whole and in order", 3, Repeat.WHOLE,
        (
            f"{_RELAY}what_waited_for_the_broker_drains_whole",
            f"{_RELAY}what_is_committed_while_the_broker_is_away_arrives_in_order",
        ),
    ),
    Row(
        "R3", "a topic that the access list denies: kept, told, others flow; 3.1.1 never counts as proven", 10,
        Repeat.WHOLE,
        (
            f"{_RELAY}a_topic_the_access_list_denies_waits_and_holds_up_no_other",
            f"{_RELAY}under_3_1_1_a_puback_is_recorded_as_unproven",
            f"{_CLIENT}a_topic_denied_by_mosquitto_is_refused",
        ),
    ),
    Row(
        "R4", "a receiver that is away hears everything up to the broker's stated length", 3, Repeat.WHOLE,
        ("tests/contract/test_deploy.py::test_a_reader_that_is_away_loses_nothing_up_to_the_stated_length",),
    ),
    Row(
        "R5", "swallowed PUBACKs: a repeat comes, byte for byte", 200, Repeat.WHOLE,
        (f"{_RELAY}a_swallowed_puback_makes_the_message_come_again_byte_for_byte",),
    ),
    Row(
        "R6", "the installed gateway killed at its first writes and syncs, each: 0 lost, 0 doubled", 9, Repeat.INSIDE,
        ("tests/crash/test_gateway_killed.py::test_a_gateway_killed_at_each_of_its_writes_loses_and_doubles_nothing",),
    ),
    Row(
        "R7", "a broker that froze is given up within 1.5 keepalives", 20, Repeat.WHOLE,
        (f"{_CLIENT}a_frozen_broker_is_given_up_within_one_and_a_half_keepalives",),
    ),
    Row(
        "R9", "another client with our id is told apart from a lost link", 5, Repeat.WHOLE,
        (f"{_CLIENT}another_client_of_our_id_is_told_apart_from_a_lost_link",),
    ),
    Row(
        "R10", "a broker that forgot everything is told again", 20, Repeat.WHOLE,
        (f"{_SERVICE}a_broker_that_forgot_everything_is_told_again",),
    ),
    Row(
        "R12", "the ledger's file refuses to be rewritten", 1, Repeat.NONE,
        ("tests/unit/gateway/ledger/test_store.py::test_the_file_itself_refuses_to_be_rewritten",),
    ),
    Row(
        "R13", "power cuts under ext4, the store alone and the whole gateway; NORMAL does lose", 200, Repeat.INSIDE,
        ("tests/scorecard/mounted.py",),
    ),
    Row(
        "R14", "power cuts at seeded operations; NORMAL and a lying disk do lose", 2000, Repeat.INSIDE,
        (
            f"{_POWER}a_power_cut_loses_nothing_acknowledged",
            f"{_POWER}a_power_cut_in_a_session_leaves_a_ledger_that_proves_itself",
            f"{_POWER}with_less_syncing_the_same_cuts_do_lose_acknowledged_commits",
            f"{_POWER}on_a_disk_that_lies_about_its_syncs_acknowledged_commits_are_lost",
        ),
    ),
    Row(
        "R15", "killed at any moment, six times a run", 17, Repeat.INSIDE,
        (
            "tests/crash/test_ledger_writes.py",
            "tests/crash/test_gateway_killed.py::test_a_gateway_killed_in_post_cooling_loses_and_doubles_nothing",
        ),
    ),
    Row(
        "R20", "no flipped bit of a ledger passes for the truth; a damaged one is set aside", 1, Repeat.NONE,
        (
            "tests/unit/gateway/ledger/test_opening.py::test_no_flipped_bit_passes_for_the_truth",
            "tests/sim/test_pipeline.py::test_a_damaged_ledger_is_set_aside_and_the_new_one_says_so",
        ),
    ),
    Row(
        "R25", "a million frames; every choice of three flipped bits", 1_000_000, Repeat.INSIDE,
        ("tests/scorecard/test_fuzz.py", "tests/scorecard/test_flips.py"),
    ),
    Row(
        "R48", "damaged messages of feeds: none starts or ends what its original did not", 100_000, Repeat.INSIDE,
        ("tests/scorecard/test_words.py",),
    ),
    Row(
        "R26", "late replies within the drain: none misattributed; by a stock client they are", 1000, Repeat.INSIDE,
        (
            f"{_LINES}r26_no_late_reply_is_taken_for_another_registers_or_units",
            f"{_LINES}r26_the_control_a_stock_client_takes_late_replies_for_the_next_registers",
            f"{_LINE}without_the_silence_a_late_reply_does_answer_the_next_question",
            f"{_LINE}a_late_line_of_text_is_drained_too",
        ),
    ),
    Row("R27", "every wrong thing in one poll: counter, fault, next poll good", 200, Repeat.INSIDE,
        ("tests/scorecard/test_frames.py",)),
    Row(
        "R28", "one of eight units dead: the others' p99 interval at most 1.5 times nominal", 1, Repeat.NONE,
        (f"{_LINES}r28_one_of_eight_units_dead_costs_the_others_next_to_nothing", "tests/sim/test_dead_unit.py"),
    ),
    Row(
        "R29", "a dead unit that returns is polled again within 35 s", 50, Repeat.INSIDE,
        (f"{_LINES}r29_a_dead_unit_that_returns_is_polled_again_within_35_seconds",),
    ),
    Row(
        "R30", "a line that babbles for ten minutes: little CPU, no reading, good 10 s after", 10, Repeat.INSIDE,
        (f"{_LINES}r30_a_babbling_line_costs_little_tells_nothing_and_is_good_again_soon_after",),
    ),
    Row(
        "R31", "unplugged, back under another device name: open within 5 s, nothing leaked", 200, Repeat.INSIDE,
        (f"{_PORTS}r31_an_unplugged_port_is_opened_again_by_its_stable_name_wherever_it_comes_back",),
    ),
    Row("R32", "stuck values, sentinels, leaps: a reason, and nothing counts", 100, Repeat.INSIDE,
        ("tests/scorecard/test_values.py",)),
    Row(
        "R33", "every byte to any unit reads: the recorder hears all and finds a planted write", 1, Repeat.NONE,
        ("tests/bus", "tests/contract/test_profiles.py::test_no_frame_that_a_profile_can_send_writes"),
    ),
    Row(
        "R34", "a port that is open already: refused in clear words, and by the exit code", 5, Repeat.WHOLE,
        (
            f"{_PORTS}r34_a_port_that_is_open_already_is_refused_in_clear_words",
            "tests/contract/test_transports.py::test_a_port_in_use_is_refused_to_the_second",
        ),
    ),
    Row(
        "R35", "steps of the wall clock, a second to a day, in a session: no increment moves", 1000, Repeat.INSIDE,
        (
            f"{_CLOCKS}steps_of_the_wall_clock_in_a_session_move_no_increment",
            f"{_CLOCKS}a_clock_that_nothing_vouched_for_and_proves_wrong_holds_what_ran_on_it",
        ),
    ),
    Row(
        "R36", "a boot at 1970, a day before or after the last entry, set later or never, begun anew: 0 lost", 1,
        Repeat.NONE,
        (
            f"{_CLOCKS}a_boot_with_a_wrong_clock_loses_no_increment_and_misplaces_none",
            f"{_CLOCKS}a_process_that_begins_anew_in_a_boot_goes_on_whatever_the_wall_shows",
            f"{_DOUBTS}what_a_start_makes_of_its_clock",
        ),
    ),
    Row(
        "R37", "summer time begins and ends in three zones over midnight: only UTC, no increment moves", 1, Repeat.NONE,
        (f"{_CLOCKS}summer_time_that_begins_or_ends_over_midnight_moves_no_increment",),
    ),
    Row(
        "R38", "a leap second and a smear: no step, order kept", 1, Repeat.NONE,
        (f"{_CLOCKS}a_leap_second_is_no_step",),
    ),
    Row(
        "R39", "asleep for 90 s, off for 20 min in a session: counted only where the unit proves it", 1, Repeat.NONE,
        (f"{_CLOCKS}of_a_time_without_the_gateway_only_what_the_unit_proves_counts",),
    ),
    Row(
        "R40", "every state of adjtimex is one of the clock", 1, Repeat.NONE,
        ("tests/unit/gateway/runtime/test_kernel_clock.py",),
    ),
    Row(
        "R47", "seven attacks on a ledger, each fifty times, all found by who holds checkpoints", 50, Repeat.NONE,
        ("tests/unit/gateway/audit/test_attacks.py",),
    ),
    Row(
        "R53", "a clinic of sixty days with every fault: no rule broken", 400, Repeat.INSIDE,
        (f"{_CLINIC}clinics_of_sixty_days_break_no_rule_and_every_fault_strikes",),
    ),
    Row(
        "R54", "a clinic of three years: no rule broken", 4, Repeat.INSIDE,
        (f"{_CLINIC}clinics_of_three_years_break_no_rule",),
    ),
    Row(
        "R55", "a mend of the gateway taken out again: the clinic breaks a rule", 1, Repeat.NONE,
        (f"{_CLINIC}a_mend_that_is_taken_out_is_missed",),
    ),
    Row(
        "R56", "the pages performed on clean Debian 12 and 13: install, upgrade, roll back, restore, wheels", 1,
        Repeat.NONE, ("tests/scorecard/installed.py",),
    ),
    Row("R57", "the image built and run: no root, a disk that nobody writes, its own health check", 1, Repeat.NONE,
        ("tests/scorecard/contained.py",)),
    Row("R58", "real processes and 35 kinds of fault: nothing lost, doubled or invented", 300, Repeat.INSIDE,
        ("tests/scorecard/faults.py",)),
)  # fmt: skip
