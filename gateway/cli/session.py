"""`capgate session`: the requests and acts of operators, sent to the running gateway over its control socket."""

from functools import partial

import click

from gateway.cli.control_client import act_command, request_command
from gateway.control.answers import SessionAnswer, SessionsAnswer, WorklistAnswer
from gateway.session.facts import AgentClass, ToleranceFinding


def _either(names: str, text: str) -> click.Option:
    """A required option of two values `names`; a click flag would default to one of them."""

    def chosen(context: click.Context, option: click.Parameter, value: bool | None) -> bool:
        if value is None:
            raise click.MissingParameter(ctx=context, param=option)
        return value

    return click.Option([names], default=None, callback=chosen, help=text)


_query = partial(request_command, "session")
_act = partial(act_command, "session")
_TOKEN = click.Argument(["token"], metavar="SESSION")
_PLACE = click.Argument(["place"])
_AT = click.Option(["--at"], metavar="TIME", help="When: ISO 8601 with offset, or HH:MM of today; now if left out.")
_IDENTIFY = click.Option(["--identify"], is_flag=True, help="Show whose it is: visit, MRN and account.")
_VISIT = (
    click.Option(["--visit"], required=True, help="The patient's visit number."),
    click.Option(["--mrn"], help="The patient's medical record number."),
    click.Option(["--account"], help="The patient's account number."),
)
_FINDING = click.Choice([finding.value for finding in ToleranceFinding])

_COMMANDS = (
    _query(
        "list",
        "List the open sessions, those that go on or wait for a person, with what holds them and what is missing.",
        "",
        {"request": "sessions"},
        SessionsAnswer,
        click.Option(["--all"], is_flag=True, help="Also those of the last three days that are done."),
        _IDENTIFY,
    ),
    _query(
        "show",
        "Show one session with its intervals, increments and facts.",
        "9RX2M7KQ4 ",
        {"request": "session"},
        SessionAnswer,
        _TOKEN,
        _IDENTIFY,
    ),
    _query(
        "worklist",
        "List what messages of the EHR left to a person: contradictions, cancellations, charted and taken back.",
        "",
        {"request": "worklist"},
        WorklistAnswer,
    ),
    _act(
        "work-done",
        "work-done",
        "Tell that something on the work list was dealt with.",
        "3f9a01c27be4",
        click.Argument(["item"]),
    ),
    _act(
        "assign",
        "assign",
        "Tell who sees to what waits: WHAT is a session's token, an item of the work list, or `rejected`: the messages "
        "that the engine rejected. It changes no count.",
        "9RX2M7KQ4 --to cm-7",
        click.Argument(["what"]),
        click.Option(["--to"], metavar="NAME", help="A person or a role; nobody any more if left out."),
    ),
    _act(
        "finalise",
        "finalise",
        "Sign a session whose cooling has stopped, once patient and infusion end are known.",
        "9RX2M7KQ4",
        _TOKEN,
    ),
    _act(
        "lift-hold",
        "lift-hold",
        "Let increments go in spite of what holds them: the codes that `list` shows.",
        "9RX2M7KQ4 no_order",
        _TOKEN,
        click.Argument(["holds"], nargs=-1, required=True, metavar="CODE..."),
    ),
    _act(
        "explain",
        "explain",
        "Say why nothing is charged of a session that is held or incomplete; it is done then.",
        "9RX2M7KQ4",
        _TOKEN,
    ),
    _act(
        "decide",
        "decide-correction",
        "Decide whether the released charge CHARGE is credited and charged anew.",
        "9RX2M7KQ4 9RX2M7KQ400A --approve",
        _TOKEN,
        click.Argument(["charge"]),
        _either("--approve/--refuse", "Correct it, or leave it as it is."),
    ),
    _act(
        "prepared",
        "prepared",
        "Chart that hair was prepared, the cap placed and pre-cooled: the evidence for 97008.",
        "9RX2M7KQ4 --at 08:55",
        _TOKEN,
        _AT,
    ),
    _act(
        "tolerance",
        "tolerance",
        "Chart a check of how the patient bears the cooling.",
        "9RX2M7KQ4 --comfort ok --scalp ok",
        _TOKEN,
        click.Option(["--vital-signs"], type=_FINDING, help="How the vital signs are."),
        click.Option(["--comfort"], type=_FINDING, help="How comfortable the patient is."),
        click.Option(["--scalp"], type=_FINDING, help="How the skin of the scalp looks."),
        _AT,
    ),
    _act(
        "cap-id",
        "cap-id",
        "Chart which cap the patient wears.",
        "9RX2M7KQ4 SC-M-0431 --lot L2601",
        _TOKEN,
        click.Argument(["cap_id"]),
        click.Option(["--lot"], help="The cap's lot."),
        _AT,
    ),
    _act(
        "note",
        "note",
        "Add a remark for whoever reviews the session. It is kept for good: name no patient.",
        '9RX2M7KQ4 "cap refitted twice"',
        _TOKEN,
        click.Argument(["text"]),
    ),
    _act(
        "order",
        "order-checked",
        "Chart whether there is an order for scalp cooling.",
        "9RX2M7KQ4 --found --minutes 90",
        _TOKEN,
        _either("--found/--not-found", "Whether there is one."),
        click.Option(
            ["--minutes", "ordered_post_minutes"], type=float, help="How long it asks for after the infusion."
        ),
        _AT,
    ),
    _act(
        "infusion-ended",
        "infusion-ended",
        "Tell when ORDER ended, where the EHR does not. `show` names the orders that are known.",
        "9RX2M7KQ4 RX55821 --at 15:00",
        _TOKEN,
        click.Argument(["order"]),
        click.Option(["--at"], required=True, metavar="TIME", help="When: ISO 8601 with offset, or HH:MM of today."),
        click.Option(
            ["--agent"], type=click.Choice([agent.value for agent in AgentClass]), help="What a new order infuses."
        ),
        click.Option(["--correct"], is_flag=True, default=None, help="Replace the end that was told before."),
    ),
    _act(
        "stop-charted",
        "stop-charted",
        "Chart that cooling ended, whatever the machine says.",
        "9RX2M7KQ4 --at 16:35",
        _TOKEN,
        _AT,
    ),
    _act(
        "cap-removed",
        "cap-removed",
        "Tell that the cap came off.",
        "9RX2M7KQ4 --at 16:40",
        _TOKEN,
        click.Option(["--cap"], metavar="UNIT:CAP", help="Which, where the session has several."),
        _AT,
    ),
    _act(
        "bind",
        "bind",
        "Tell whom a cap serves. PLACE: a chair, UNIT:CAP, or the token of a session that is nobody's, which is then "
        "bound from its beginning.",
        "c12 --visit V770012",
        _PLACE,
        *_VISIT,
        _AT,
    ),
    _act(
        "release",
        "release",
        "Tell that a cap serves its patient no longer. PLACE: a chair, UNIT:CAP or a token.",
        "c12",
        _PLACE,
        _AT,
    ),
    _act(
        "reassign",
        "reassign",
        "Tell that a session was another patient's all along.",
        "9RX2M7KQ4 --visit V770013",
        _TOKEN,
        *_VISIT,
    ),
)

command = click.Group(
    "session",
    commands=list(_COMMANDS),
    help="Look at the sessions of a running gateway, and tell it what only a person can. Acts become facts; increments "
    "follow from them.",
    epilog="Example: capgate session list --config /etc/capgate/gateway.toml. Each command has its own --help.",
)
