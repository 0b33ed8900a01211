"""A clinic, its gateway and all that happens to both, in the order of an agenda of virtual instants."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random

from drivers.reading import ReadFault, Reading, Stamp
from gateway.messages.notation import Notation
from gateway.mqtt.service import LONGEST_RECONNECT_S
from gateway.session import rules
from tests.campaign import clinic, people
from tests.campaign.broker import Broker
from tests.campaign.bus import Bus, Json
from tests.campaign.clinic_time import BUSY_RATE, EPOCH_US, IDLE_RATE, CampaignLoop, ClinicTime, Machine, ProcessClock
from tests.campaign.disk import DISK_FULL, Disk
from tests.campaign.engine import Engine
from tests.campaign.faults import Fault, Kind, faults
from tests.campaign.judge import Case, Judge, day_name, listed_as, says_why
from tests.campaign.life import LEDGER_FILE, Life
from tests.campaign.plan import DAY, HOUR, MINUTE, CapState, Move, Place, Rule, S, Statement, Violation
from tests.campaign.receipts import Receipts
from tests.campaign.records import Follower, misplaced, undelivered, unsound
from tests.campaign.site import ALL_UNITS, POLL_S, Site
from tests.campaign.units import Sighting, Unit

RESTART_S = 20
RECENT_US = 5 * DAY  # what ended or was told since may be in memory
FACTS_A_SESSION = 20  # in memory, one with another
LOOKS = (7 * HOUR, 13 * HOUR + 7 * MINUTE, 18 * HOUR + 30 * MINUTE)  # when people look at the list
SLACK_US = 2 * MINUTE  # what a restart in the middle of cooling may cost: the last mark is up to a minute old
_SETTLING_S = 4.0  # of the loop, for what was said to be answered

_OF_A_PROCESS = (Kind.RESTART, Kind.KILL, Kind.COMMIT, Kind.DAMAGE)

Happening = Callable[[], None]


class World:
    """One run. `violations` are told with their day; the run ends with the first."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        loop: CampaignLoop,
        kinds: frozenset[Kind],
        spared: frozenset[Rule],
        live: type[Life],
    ) -> None:
        self.violations: list[Violation] = []
        self.known: dict[Rule, int] = {}  # violations of rules that were not asked about
        self.fired: dict[Kind, int] = {}
        self.lives = 0
        self.largest_memory = 0
        self.time = ClinicTime(loop)
        notation = (None, Notation.HL7, Notation.JSON)[seed % 3]  # of the receipts that the engine sends
        self.site = Site(folder, notation)
        self.disk = Disk()
        self.bus = Bus(self.complain, self._answered)
        self.broker = Broker(self.time.now_us, self._published)
        self.receipts = Receipts(seed, notation, self.broker, self._at, self.time.now_us, loop.time, self.complain)
        self.engine = Engine(self.broker.to_gateway, self.time.now_us)
        self.judge = Judge(self.bus, self.engine, self.site.rules, self.complain)
        self._live = live
        self._spared = spared
        self._seed = seed
        self._kinds = kinds
        self._random = Random(f"world {seed}")
        self._machine = Machine(self.time)
        self._units = {name: Unit(name) for name in ALL_UNITS}
        self._polled: set[str] = set()
        self._agenda: list[tuple[int, int, Happening]] = []
        self._numbers = itertools.count()
        self._busy_until_us = 0
        self._unwell_s: float | None = None  # since when the gateway was not seen to work, of the loop
        self._off_until_us = 0
        self._life: Life | None = None
        self._looking: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        self._actions: list[Callable[[], object]] = []
        self._rejected_since_us: dict[str, int] = {}
        loop.job_delay_s, loop.after_job = self.disk.job_delay_s, self.disk.after_job
        self.disk.on_death = self._killed_in_commit

    # --- the run

    async def run(self, days: int) -> None:
        """Play `days` days from a Monday on."""
        for day in range(days):
            self._at(EPOCH_US + day * DAY, lambda day=day: self._begin_day(day))
        # Verifying all of it costs more from day to day, following it does not.
        half_us = days * DAY / 2
        self._at(EPOCH_US + round(Random(f"verify {self._seed}").random() * half_us), self._verify)
        end_us = EPOCH_US + days * DAY
        await self._start()
        while self._agenda and not self.violations:
            at_us, _, happening = heapq.heappop(self._agenda)
            if at_us >= end_us:
                break
            await self._pass(at_us)
            happening()
            await self._act()
        await self._end()

    async def _pass(self, at_us: int) -> None:
        """Let time pass: slowly while units are polled or something was just said."""
        if not self._polled:
            await self.time.wait_until(min(at_us, self._busy_until_us), BUSY_RATE)
        await self.time.wait_until(at_us, BUSY_RATE if self._polled else IDLE_RATE)

    async def _act(self) -> None:
        while self._actions:
            result = self._actions.pop(0)()
            if asyncio.iscoroutine(result):
                await result

    def _at(self, at_us: int, happening: Happening) -> None:
        heapq.heappush(self._agenda, (max(at_us, self.time.now_us()), next(self._numbers), happening))

    def complain(self, rule: Rule, text: str) -> None:
        """A rule is broken, now."""
        now_us = self.time.now_us()
        if rule in self._spared:
            self.known[rule] = self.known.get(rule, 0) + 1
        else:
            self.violations.append(Violation(clinic.day_of(now_us), rule, f"{day_name(now_us)}: {text}"))

    def _published(self, topic: str, payload: bytes) -> None:
        self.bus.take(topic, payload)
        if "/charge/" in topic:
            self.receipts.arrived(topic, self.bus.charge(topic, payload))

    def _answered(self, data: Json) -> None:
        self.engine.answered(data)

    # --- a day

    def _begin_day(self, day: int) -> None:
        begin_us = EPOCH_US + day * DAY
        for visit in clinic.visits(self._seed, day):
            case = self.judge.add(visit)
            for move in visit.moves:
                self._at(move.at_us, lambda move=move, case=case: self._move(move, case))
            for statement in visit.statements:
                self._at(statement.say_us, lambda statement=statement, case=case: self._say(statement, case))
        for fault in faults(self._seed, day, self._kinds):
            self._at(fault.at_us, lambda fault=fault: self._strike(fault))
        for hour in range(24):
            self._at(begin_us + hour * HOUR, self._begin_hour)
        for look_us in LOOKS if clinic.is_workday(day) else LOOKS[:1]:
            self._at(begin_us + look_us, self._begin_to_look)

    def _begin_hour(self) -> None:
        self.engine.again()
        self._follow()
        self._look_alive()

    def _look_alive(self) -> None:
        """A gateway that nothing hinders counts and has its broker, after twice its longest wait before a new try."""
        now_s = asyncio.get_running_loop().time()
        hindered = self._life is None or self.broker.down or self.disk.full
        if hindered or (self._life is not None and self._life.works and self.broker.connected):
            self._unwell_s = None
        elif self._unwell_s is None:
            self._unwell_s = now_s
        elif now_s - self._unwell_s > 2 * LONGEST_RECONNECT_S:
            self.complain(Rule.ALIVE, "the gateway counts nothing, or has no broker, and nothing hinders it")

    def _say(self, statement: Statement, case: Case) -> None:
        self.judge.touch(case)
        self.engine.say(case.visit, statement)
        self._busy_until_us = self.time.now_us() + MINUTE

    def _move(self, move: Move, case: Case) -> None:
        self.judge.touch(case)
        self._units[move.place.unit].move(move)
        self._wake(move.place.unit)
        if Kind.UNIT in self._kinds:
            self._knock(move)

    def _wake(self, name: str) -> None:
        """Poll the unit for a while: it changed, answers again, or the gateway began and has not seen it."""
        self._units[name].watched_from_us = self.time.now_us()
        if name not in self._polled:
            self._polled.add(name)
            self._poll_turn(name)

    def _poll_turn(self, name: str) -> None:
        now_us = self.time.now_us()
        if not self._units[name].active(now_us):
            self._polled.discard(name)
            return
        if self._life is not None:
            self._life.turn(name)
        self._at(now_us + POLL_S * S, lambda: self._poll_turn(name))

    def _poll(self, name: str, stamp: Stamp) -> Reading | ReadFault:
        in_vain = self.disk.full and not self._live.keeps_answers
        return self._units[name].poll(stamp, self.time.now_us(), in_vain=in_vain)

    def _seen(self, place: Place) -> list[Sighting]:
        return self._units[place.unit].seen.get(place, [])

    # --- the gateway's lives

    async def _start(self) -> None:
        if self._life is not None or self.time.now_us() < self._off_until_us:
            return
        self.disk.revive()
        clock = ProcessClock(self._machine)
        self.lives += 1
        self._life = self._live(self.site.config, clock, self.disk, self.broker, self._random, self._poll, self._died)
        self._shake()
        await self._life.started()
        for name in self._units:
            self._wake(name)

    def _died(self) -> None:
        """The process ended by itself, or was killed in a commit."""
        life, self._life = self._life, None
        if life is not None and life.failure and not life.failure.endswith(DISK_FULL):  # which may have room by now
            self.complain(Rule.ALIVE, f"the gateway ended: {life.failure}")
        self.broker.cut()
        self._shake()
        self._at(self.time.now_us() + RESTART_S * S, lambda: self._actions.append(self._start))

    def _killed_in_commit(self) -> None:
        self._count(Kind.COMMIT)
        if self._life is not None:
            self._life.die()
            self._actions.append(lambda: self._kill(RESTART_S * S))
            self._at(self.time.now_us(), lambda: None)

    async def _kill(self, length_us: int) -> None:
        life, self._life = self._life, None
        self._shake()
        if life is not None:
            await life.kill()
        self._off(length_us)

    async def _stop(self, length_us: int) -> None:
        life, self._life = self._life, None
        self._shake()
        if life is not None:
            await life.stop()
        self._off(length_us)

    def _off(self, length_us: int) -> None:
        now_us = self.time.now_us()
        self._unhindered()
        self._off_until_us = max(self._off_until_us, now_us + length_us)
        self._at(self._off_until_us, lambda: self._actions.append(self._start))

    def _shake(self) -> None:
        now_us = self.time.now_us()
        for case in self.judge.cases.values():
            case.shaken(now_us, SLACK_US)

    # --- what goes wrong

    def _strike(self, fault: Fault) -> None:
        if self._life is None and fault.kind in _OF_A_PROCESS:
            return
        if fault.kind is not Kind.COMMIT:  # whether that one kills is seen later
            self._count(fault.kind)
        later_us = self.time.now_us() + fault.length_us
        match fault.kind:
            case Kind.RESTART:
                self._actions.append(lambda: self._same_after(fault.length_us, killed=False))
            case Kind.KILL:
                self._actions.append(lambda: self._same_after(fault.length_us, killed=True))
            case Kind.COMMIT:
                self.disk.die_after_jobs = 1 + int(fault.choice * 60)
            case Kind.DOWNTIME | Kind.LONG:
                self._actions.append(lambda: self._switch_off(fault.length_us, killed=fault.choice < 0.5))
            case Kind.POLICY:
                self.site.change_policy(fault.choice)
                self._actions.append(lambda: self._same_after(fault.length_us, killed=False))
            case Kind.CONFIG:
                self.site.change_config()
                self._actions.append(lambda: self._same_after(fault.length_us, killed=False))
            case Kind.UPGRADE:
                rules.REVISION += 1
                self._actions.append(lambda: self._same_after(fault.length_us, killed=False))
            case Kind.DAMAGE:
                self._actions.append(lambda: self._same_after(fault.length_us, killed=True, meanwhile=self._spoil))
            case _:
                self._strike_around(fault, later_us)

    def _count(self, kind: Kind) -> None:
        self.fired[kind] = self.fired.get(kind, 0) + 1

    def _strike_around(self, fault: Fault, later_us: int) -> None:
        """What goes wrong around the process."""
        match fault.kind:
            case Kind.SLOW:
                self.disk.delay_s = 0.02 + 0.3 * fault.choice
                self._at(later_us, lambda: setattr(self.disk, "delay_s", 0.0))
            case Kind.FULL:
                self.disk.full = True
                self._at(later_us, self._room_again)
            case Kind.BROKER:
                self.broker.down = True
                self.broker.cut()
                self._at(later_us, self._broker_again)
            case Kind.SESSION:
                self.broker.lose_session()
            case Kind.PUBACK:
                self.broker.lose_pubacks = True
                self._at(later_us, self._pubacks_again)
            case Kind.POWER:
                self._lose(self._units, later_us)
                restart_us = self.time.now_us() + round(fault.length_us * fault.choice)
                self._at(restart_us, lambda: self._actions.append(lambda: self._switch_off(RESTART_S * S, killed=True)))
            case Kind.LINE:
                self._lose(self._units, later_us)
            case Kind.UNIT:
                self._lose([self._struck(fault.choice)], later_us)
                self._perhaps_restart(self.time.now_us() + fault.length_us // 2)
            case Kind.DEAD:
                self._die(fault, later_us)
            case Kind.CLOCK:
                self._step_clock(round((fault.choice - 0.5) * 240) * S, later_us)
            case _:
                raise ValueError(fault.kind)

    def _spoil(self) -> None:
        """The ledger is damaged, and the next process begins another one."""
        if self._follower is not None:
            self._follow()
            self._follower.close()
            self._follower = None
        self.disk.spoil(self._ledger)

    def _struck(self, choice: float) -> str:
        """A unit: one that cools, if there is one."""
        struck = [name for name, unit in self._units.items() if unit.cools] or list(self._units)
        return struck[int(choice * len(struck))]

    def _die(self, fault: Fault, until_us: int) -> None:
        """A unit fails for days: while somebody is cooled, shortly before the end of the first to be done."""
        now_us = self.time.now_us()
        under_way = (
            each.visit for each in self.judge.cases.values() if each.visit.start_us < now_us < each.visit.stop_us
        )
        first = min(under_way, key=lambda visit: visit.stop_us, default=None)
        if first is None:
            self._lose([self._struck(fault.choice)], until_us)
        else:
            at_us = max(now_us, first.stop_us - 10 * MINUTE)
            self._at(at_us, lambda: self._lose([first.stays[-1].place.unit], until_us))

    def _knock(self, move: Move) -> None:
        """Whoever uncouples a cap may pull its unit's cable out as well, and with it another patient's."""
        random = Random(f"knock {self._seed} {move}")
        if move.state is CapState.PAUSED and random.random() < 0.12:
            at_us = move.at_us + 90 * S
            length_us = random.randrange(4 * MINUTE, 90 * MINUTE)
            self._at(at_us, lambda: self._lose([move.place.unit], at_us + length_us))
            self._at(at_us, lambda: self._count(Kind.UNIT))
            self._perhaps_restart(at_us + length_us // 2)

    def _perhaps_restart(self, at_us: int) -> None:
        """A unit that does not answer makes people switch the box off and on."""
        if Kind.RESTART in self._kinds and Random(f"impatience {self._seed} {at_us}").random() < 0.5:
            self._at(at_us, lambda: self._actions.append(lambda: self._same_after(5 * S, killed=True)))

    def _lose(self, names: Iterable[str], until_us: int) -> None:
        """These units do not answer for a while."""
        for name in names:
            self._units[name].lost_until_us = max(until_us, self._units[name].lost_until_us)
            self._at(until_us, lambda name=name: self._wake(name))

    def _unhindered(self) -> None:
        """From the next look on the gateway has twice its longest wait again."""
        self._unwell_s = None

    def _room_again(self) -> None:
        self.disk.full = False
        self._unhindered()

    def _broker_again(self) -> None:
        self.broker.down = False
        self._unhindered()

    def _pubacks_again(self) -> None:
        self.broker.lose_pubacks = False
        self.broker.cut()

    def _step_clock(self, step_us: int, later_us: int) -> None:
        self._machine.wall_error_us += step_us
        self._at(later_us, lambda: setattr(self._machine, "wall_error_us", self._machine.wall_error_us - step_us))
        now_us = self.time.now_us()
        for case in self.judge.cases.values():
            if case.visit.start_us < later_us + DAY and case.visit.stop_us > now_us - HOUR:
                case.unsure = True

    async def _switch_off(self, length_us: int, *, killed: bool) -> None:
        await (self._kill if killed else self._stop)(length_us)
        self._machine.reboot()

    async def _same_after(self, length_us: int, *, killed: bool, meanwhile: Callable[[], None] = lambda: None) -> None:
        """End the process and start another; what it lists must be the same, whatever happens meanwhile."""
        before = await self._views(every=True) if self._life is not None else None
        began_us = self.time.now_us()
        await (self._kill if killed else self._stop)(0)
        meanwhile()
        await self.time.wait_until(self.time.now_us() + length_us, BUSY_RATE)
        await self._start()
        after = await self._views(every=True)
        if before is None or after is None or self.time.now_us() - began_us > 5 * MINUTE:
            return
        for token in sorted(after.keys() - before.keys()):
            self.complain(Rule.SAME, f"a restart changed the list: {token} appeared")
        for token in sorted(before.keys() - after.keys()):
            moved = before[token]["phase"] == "waiting"  # its cooling proved to be another's
            if says_why(before[token]) and not moved and not await self._is_done(token):
                self.complain(Rule.SAME, f"a restart changed the list: {token} vanished, {listed_as([before[token]])}")
        answering = {name for name, unit in self._units.items() if began_us < unit.lost_until_us <= self.time.now_us()}
        for token in sorted(before.keys() & after.keys()):
            # Units that answer tell meanwhile what became of their caps.
            if before[token]["unit"] not in answering and not self._is_lost_since(began_us, before[token]):
                self._compare(token, before[token], after[token])

    async def _is_done(self, token: str) -> bool:
        """Whether its window ended meanwhile, and nothing is left to do about it: such a session leaves the list."""
        answer = None if self._life is None else await self._life.ask({"request": "session", "token": token})
        return answer is None or (answer["ok"] and not says_why(answer["session"]))

    def _is_lost_since(self, began_us: int, view: Json) -> bool:
        """Whether its unit came to be out of sight for so long meanwhile that the session is held."""
        seen = [each[-1].at_us for each in self._units[view["unit"]].seen.values()]
        session = self.bus.sessions.get(view["token"])  # None: the broker does not have it yet
        if view["phase"] != "offline" or session is None:
            return False
        held_us = max(seen, default=0) + self.site.rules[session.policy].idle_s * S
        return began_us - MINUTE <= held_us <= self.time.now_us()

    def _compare(self, token: str, before: Json, after: Json) -> None:
        for name in ("bound", "increments", "held", "corrections", "charges"):
            if before[name] != after[name] and before["finalised"] == after["finalised"]:
                self.complain(Rule.SAME, f"a restart changed {token}: {name} from {before[name]} to {after[name]}")

    # --- people, and the judge

    async def _views(self, *, every: bool = False) -> dict[str, Json] | None:
        if self._life is None:
            return None
        answer = await self._life.ask({"request": "sessions", "all": every})
        if answer is None:
            return None
        if not answer["ok"]:
            self.complain(Rule.LIST, f"the list of sessions is refused: {answer['error']}")
            return None
        return {view["token"]: view for view in answer["sessions"]}

    def _begin_to_look(self) -> None:
        if self._looking is None or self._looking.done():
            self._busy_until_us = self.time.now_us() + round(3 * _SETTLING_S * BUSY_RATE * S)
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """What was said is given time to be answered; the judge looks at the list, then people do, and act."""
        await asyncio.sleep(_SETTLING_S)
        if self._life is not None:
            self._weigh(self._life)
        published, views, life = len(self.bus.changes), await self._views(), self._life
        if views is None or life is None:
            return
        if life.drained and published == len(self.bus.changes):
            self.judge.look(views, self._seen, self.time.now_us())
            self._refusals()
        await self._look_at_deliveries(life, views)
        for token, view in views.items():
            case = self.judge.case_of(token, self._seen)
            if case is not None:
                for request in people.acts(case.visit, view, case.progress, self.time.now_us()):
                    await self._ask(life, case, view, request)

    async def _look_at_deliveries(self, life: Life, views: Mapping[str, Json]) -> None:
        """The judge looks at what the engine has of the charges, then people do, and send again what it rejected."""
        delivery, status = await life.ask({"request": "delivery"}), await life.ask({"request": "status"})
        if delivery is None or status is None:
            return
        if life.drained and not self.broker.inbox():
            for text in self.receipts.check(delivery, status, views):
                self.complain(Rule.RECEIPTS, text)
        for request in people.resends(delivery, self._rejected_since_us, self.time.now_us()):
            asked_us, answer = self.time.now_us(), await life.ask(request)
            if answer is not None and not answer["ok"]:
                self.complain(Rule.ACT, f"the order {request} was refused: {answer['error']}")
            else:
                self.receipts.ordered(request, asked_us, known=answer is not None)

    def _weigh(self, life: Life) -> None:
        """Memory holds what is open, what was or was told lately, and what people touched since the last hour."""
        held = life.memory
        self.largest_memory = max(self.largest_memory, held.facts)
        since_us = self.time.now_us() - RECENT_US
        lately = sum(self._is_of_late(case, since_us) for case in self.judge.cases.values())
        sessions = self.judge.open + lately
        if held.sessions > 2 * sessions + 10 or held.facts > FACTS_A_SESSION * sessions + 60:
            self.complain(
                Rule.MEMORY,
                f"{held.facts} facts and {held.sessions} sessions in memory, {sessions} are open or of late",
            )

    def _is_of_late(self, case: Case, since_us: int) -> bool:
        """A box that was off for weeks is told of them all within the hour."""
        told_us = max((self.engine.taken.get(each.id, 0) for each in case.visit.statements), default=0)
        return max(case.visit.stop_us, told_us) > since_us

    async def _ask(self, life: Life, case: Case, view: Json, request: Json) -> None:
        self.judge.touch(case, acted=True)
        answer = await life.ask(request)
        if answer is None:
            return
        if answer["ok"]:
            people.done(case.visit, view, request, case.progress)
        elif request["act"] == "lift-hold" and self.judge.is_parted(case):
            pass  # the rest of it is bound first
        elif request["act"] == "lift-hold" and self.judge.counts_nothing(case, self._seen, self.time.now_us()):
            explain = {name: value for name, value in request.items() if name != "holds"}
            await self._ask(life, case, view, {**explain, "act": "explain"})  # nothing would be charged
        else:
            what = f"{request['act']} of {request.get('token', case.tokens)} ({case.visit.key})"
            self.complain(Rule.ACT, f"{what} was refused: {answer['error']}; accepted: {answer['accepted']}")

    def _refusals(self) -> None:
        for name, why in list(self.engine.refused.items()):
            case = self.judge.cases[name.rpartition("-")[0]]
            unseen = "not-ours" in why and not case.tokens  # the box was off while the patient was here
            self.engine.refused[name] = ""
            if why and not unseen:
                self.complain(Rule.TAKEN, f"statement {name} was refused: {why}")

    # --- the end

    async def _end(self) -> None:
        if self._looking is not None:
            await self._looking
        if self._life is not None:
            await self._life.stop()
            self._life = None
        self._check_ledger()

    def _check_ledger(self) -> None:
        self._follow()
        if self._follower is not None:
            self._follower.close()
            for text in (
                *unsound(self._ledger),
                *undelivered(self._ledger, self.bus),
                *misplaced(self._ledger, self.bus.sessions),
            ):
                self.complain(Rule.AUDIT, text)

    def _follow(self) -> None:
        """Follow the ledger up to here, whatever the gateway is doing with it."""
        if self._follower is None and self._ledger.exists():
            self._follower = Follower(self._ledger)
        if self._follower is not None:
            for text in self._follower.follow():
                self.complain(Rule.AUDIT, text)

    def _verify(self) -> None:
        """Verify the ledger, whatever the gateway is doing with it."""
        if self._ledger.exists():
            for text in unsound(self._ledger):
                self.complain(Rule.AUDIT, text)

    @property
    def _ledger(self) -> Path:
        return self.site.folder / "state" / LEDGER_FILE
