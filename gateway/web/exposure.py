"""Whether the page may be served at its address: beyond this machine only where somebody can sign in."""

from pathlib import Path

from gateway.config.web import PagePlan
from gateway.runtime.addresses import is_loopback
from gateway.web.accounts import AccountsUnreadable, read_accounts


def exposure_refused(plan: PagePlan, state_dir: Path) -> str | None:
    """Why the page is not served, and what is accepted; None if it is. TLS is checked with the configuration."""
    if plan.listen is None or is_loopback(plan.listen[0]):
        return None
    if plan.oidc is not None or plan.proxy is not None:
        return None
    try:
        if read_accounts(state_dir).by_name:
            return None
        lacking = f"{state_dir} has no account"
    except AccountsUnreadable as unreadable:
        lacking = str(unreadable)
    accepted = "127.0.0.1:port, or an account that this user can read, as capgate account add NAME --role ROLE makes it"
    return f"nobody could sign in on the network: {lacking}, accepted: {accepted}"
