"""What a visitor is told whose request is invalid: its address or headers are too large or malformed."""

from __future__ import annotations

from typing import Any

from txpanel.compat import odd_paths
from txpanel.messages import _
from txpanel.server.rates import network
from txpanel.server.refusals import refuse

__all__ = ["install", "too_large"]


def too_large(status: int, context: Any) -> str:
    """The sentence for a request that is too large (status 414 or 431), for `txpanel.compat.long_requests.mend`; counts a refusal."""
    refuse("request-size", network(str(getattr(context, "remote_ip", ""))))
    if status == 414:
        return _(
            "This address is too long for the server. Save the run on the page it comes from (⇪), and open the file here."
        )
    return _("The headers of this request are too large for the server. Clear this site's cookies and try again.")


def install(tornado_app: Any, _http_server: Any) -> None:
    """Refuses malformed requests from now on."""
    words = {
        "bytes": _("This address is not written in UTF-8."),
        "characters": _("This address has characters that are not allowed in an address."),
        "name": _("This request is for an invalid host name."),
        "from": _("This request says that it comes from an invalid address."),
    }
    odd_paths.install(tornado_app, words.__getitem__)
