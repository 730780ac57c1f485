"""A session is made only for a page that is opened, not for a picture, script or frame in a page of another site.

Browsers say what an answer is for (``Sec-Fetch-Dest``); those that do not (over plain http) say what they would take (``Accept``). So an
``<img>`` elsewhere makes no session here and costs nothing. Where other sites may show the page (``TXPANEL_EMBED``), frames and ``autoload.js`` are let in.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from txpanel.messages import _
from txpanel.server import visitors
from txpanel.server.headers import embedders, may_embed
from txpanel.server.refusals import refuse

__all__ = ["gate", "refusal"]

FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")
OPENED = ("document", "empty", "")


def gate(handler: Any) -> bool:
    """See `txpanel.compat.page_requests.Gate`."""
    said = refusal(handler.request)
    if not said:
        return False
    refuse("cross-site", visitors.address(handler.request))
    handler.set_status(403)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.finish(said)
    return True


def refusal(request: Any) -> str:
    """Why a request for a page makes no session; empty: it does.

    Args:
        request: Tornado's.
    """
    headers = request.headers
    dest, site = headers.get("Sec-Fetch-Dest", ""), headers.get("Sec-Fetch-Site", "")
    elsewhere = site in ("cross-site", "same-site") or _other_origin(request)
    if request.path.endswith("/autoload.js"):
        if elsewhere and not _embedded(headers):
            return _(
                "Other sites may not show this page. Its operator can allow it: txpanel serve --embed-in https://your.site"
            )
        return _("This is a script.") if dest not in ("script", *OPENED) else ""
    if dest in FRAMES and elsewhere and not embedders():
        return _(
            "Other sites may not show this page. Its operator can allow it: txpanel serve --embed-in https://your.site"
        )
    if dest not in (*FRAMES, *OPENED) or (not dest and not _takes_pages(headers.get("Accept", ""))):
        return _("This is a page, and was requested as something else.")
    if dest == "empty" and elsewhere and not may_embed(headers.get("Origin", "")):
        return _("A page of another site may not open this one in a script.")
    return ""


def _embedded(headers: Any) -> bool:
    """Whether a script tag or request stands in a page that may show this one."""
    site = headers.get("Origin") or headers.get("Referer") or ""
    parts = urlsplit(site)
    return "*" in embedders() or may_embed(f"{parts.scheme}://{parts.netloc}")


def _other_origin(request: Any) -> bool:
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() != str(request.host).lower()


def _takes_pages(accept: str) -> bool:
    """Whether a browser asks for a page: pictures, style sheets, sounds say so first."""
    kinds = [kind.partition(";")[0].strip() for kind in accept.lower().split(",")]
    return "text/html" in kinds or not any(
        kind.startswith(("image/", "text/css", "audio/", "video/", "font/")) for kind in kinds
    )
