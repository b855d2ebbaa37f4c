"""Says for whom a system speaks."""

from dataclasses import dataclass

from gantry.apps.accounts.access import Acting
from gantry.apps.estate.models import Network, Organisation


@dataclass(frozen=True, slots=True)
class Sender:
    """A system that acts for an organisation, in the network that it refers within."""

    acting: Acting
    organisation: Organisation
    network: Network
