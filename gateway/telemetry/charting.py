"""Temperatures for charting: for every cap of a session with a known visit, one message in a period. Lossy."""

from collections.abc import Awaitable, Callable

from drivers.reading import CapReading, Reading
from gateway.messages.identity import Identity
from gateway.messages.notation import Notation
from gateway.messages.outbound.ehr import Device
from gateway.messages.outbound.fhir import ChartSample, observation_bundle
from gateway.messages.outbound.hl7_oru import observation_message
from gateway.messages.outbound.site import OutboundPlan
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import Topics
from gateway.runtime.clock import US_PER_S
from gateway.session.facts import CapRef
from gateway.session.state import TrackerState


class Observations:
    """Publishes observations of caps that serve patients. `identity_of` gives a subject's identifiers; None: purged."""

    def __init__(
        self,
        plan: OutboundPlan,
        topics: Topics,
        telemetry: Telemetry,
        identity_of: Callable[[str], Awaitable[Identity | None]],
    ) -> None:
        self._plan = plan
        self._topics = topics
        self._telemetry = telemetry
        self._identity_of = identity_of
        self._published_us: dict[CapRef, int] = {}

    async def take(self, reading: Reading, state: TrackerState) -> None:
        """Publish each cap of the reading that is in a session of `state`, at most once in a period."""
        if not self._plan.observations:
            return
        at_us = reading.observed_at.utc_us
        caps = {CapRef(reading.unit, cap.cap): cap for cap in reading.caps if cap.temperatures}
        due = [ref for ref in caps if at_us - self._published_us.get(ref, 0) >= self._plan.period_s * US_PER_S]
        if not due:
            return
        serving = state.serving(at_us)
        for ref in due:
            subject = serving.get(ref, "")
            going_on = state.sessions.open_of(subject)
            if going_on and (identity := await self._identity_of(subject)) is not None:
                self._published_us[ref] = at_us
                self._publish(reading, caps[ref], going_on[-1].token, identity)

    def _publish(self, reading: Reading, cap: CapReading, token: str, identity: Identity) -> None:
        at_us = reading.observed_at.utc_us
        site = self._plan.site
        sample = ChartSample(
            session=token,
            device=Device(reading.unit, cap.cap, reading.serial_number),
            at_us=at_us,
            temperatures=dict(cap.temperatures),
            mode=site.mode,
        )
        for form in self._plan.observations:
            if form is Notation.HL7:
                payload = observation_message(sample, identity, site)
            else:
                payload = observation_bundle(sample, identity, site, at_us, sample.key)
            self._telemetry.put(self._topics.observation(form), payload)
