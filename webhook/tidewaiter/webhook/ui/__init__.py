"""The page for people: what the gate does, read-only, for those whom the API server lets look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidewaiter.webhook.settings import CLUSTER
from tidewaiter.webhook.ui.activity import Activity

if TYPE_CHECKING:
    from tidewaiter.webhook.settings import Settings
    from tidewaiter.webhook.ui.viewer import Viewers


@dataclass(frozen=True, slots=True)
class Ui:
    """What the page needs beside the server itself."""

    viewers: Viewers
    activity: Activity = field(default_factory=Activity)


def open_ui(settings: Settings) -> Ui | None:
    """Return what the settings ask for, None for none. Raises ClusterError where no cluster is known."""
    if settings.ui != CLUSTER:
        return None
    from tidewaiter.rules.cluster.client import open_client
    from tidewaiter.webhook.ui.viewer import Viewers

    return Ui(Viewers(open_client(settings.kubeconfig or None)))
