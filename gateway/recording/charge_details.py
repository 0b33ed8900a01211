"""Looks up what a charge says beside what it claims: as it is known when the charge is released, never later."""

from collections.abc import Sequence

from gateway.ledger.store import Ledger
from gateway.messages.details import NO_DETAILS, About, Details, Stated, of_charge
from gateway.messages.outbound.site import ChargeSite
from gateway.session.charges import Charge
from gateway.session.outcome import Outcome


async def details_of(
    ledger: Ledger, site: ChargeSite, outcome: Outcome, charge: Charge, stated: Sequence[Stated]
) -> Details:
    """From `stated`, which is being recorded, and the ledger; of a credit, what its charge said."""
    subject = charge.line.patient
    if charge.reverses:
        return await ledger.details(subject, About.CHARGE, charge.reverses)
    if not site.details:
        return NO_DETAILS

    async def known(about: About, name: str) -> Details:
        details = await ledger.details(subject, about, name)
        for each in stated:
            if (each.subject, each.about, each.name) == (subject, about, name):
                details = each.details.over(details)
        return details

    end = outcome.assessment.infusion_end
    order = await known(About.ORDER, end.order) if end is not None else NO_DETAILS
    return of_charge(site.details, outcome.person, await known(About.VISIT, ""), order)
