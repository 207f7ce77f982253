"""Whether the Prefect server that is named answers; for `mase doctor`."""

import json
import os
import urllib.error
import urllib.request
from importlib import metadata

from flows.environment import prefect_api_configured
from flows.server import announced_url
from mase.doctor import Check
from mase.tracking.address import without_credentials as shown

SECONDS = 15.0  # a server on a busy machine takes its time
NAME = "Prefect server"


def check_prefect() -> Check:
    """Return the check of the server in PREFECT_API_URL, in Prefect's profile, or of `mase serve`."""
    url = os.environ.get("PREFECT_API_URL") or announced_url()
    if url is None:
        if prefect_api_configured():
            return Check(
                NAME, "ok", "named by the active Prefect profile", "look at it with: prefect config view"
            )
        said = "none named: a flow starts one for itself and ends it"
        return Check(NAME, "ok", said, "mase serve keeps one running with the deployments")
    return answered(url.rstrip("/"))


def answered(url: str) -> Check:
    """Return whether a server answers at an address, and with the version that is installed here."""
    start = "start it (mase serve, docker compose up), or unset PREFECT_API_URL"
    try:
        request = urllib.request.Request(f"{url}/admin/version", headers=_credentials())
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            version = str(json.load(response))
    except urllib.error.HTTPError as cause:
        if cause.code in (401, 403):
            return Check(NAME, "problem", f"{shown(url)} refuses: {cause}", "set PREFECT_API_AUTH_STRING")
        return Check(NAME, "problem", f"{shown(url)} answers {cause}; PREFECT_API_URL ends in /api", start)
    except (OSError, ValueError) as cause:
        return Check(NAME, "problem", f"{shown(url)} does not answer: {cause}", start)
    here = metadata.version("prefect")
    if version != here:
        return Check(
            NAME,
            "warning",
            f"{shown(url)} is {version}, but {here} is here",
            f"pip install prefect=={version}",
        )
    return Check(NAME, "ok", f"{shown(url)}, version {version}")


def _credentials() -> dict[str, str]:
    """Return the header that Prefect's client sends where PREFECT_API_AUTH_STRING is set."""
    import base64

    secret = os.environ.get("PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"} if secret else {}
