"""Ask a server what its clients ask it; end with 1 and the reason if it does not answer that.

    python healthcheck.py URL [--post] [--host NAME:PORT] [--login VARIABLE[,VARIABLE]]
                              [--contains TEXT] [--web-socket]

Standard library only: it runs in every container.
"""

import argparse
import base64
import http.client
import os
from urllib.parse import urlsplit

SECONDS = 8.0
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"mase-healthcheck").decode(),
}


def main() -> None:
    """Ask once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--post", action="store_true", help="send an empty JSON object")
    parser.add_argument("--host", help="the Host header, where clients use another name than this one")
    parser.add_argument("--login", help="variables whose values, joined by a colon, are user:password")
    parser.add_argument("--contains", help="what the answer must contain")
    parser.add_argument("--web-socket", action="store_true", help="ask for a web socket instead of a page")
    asked = parser.parse_args()
    headers = UPGRADE.copy() if asked.web_socket else {}
    if asked.host:
        headers["Host"] = asked.host
    if asked.login:
        login = ":".join(os.environ[name] for name in asked.login.split(","))
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    try:
        status, content = answer(asked.url, asked.post, headers, read=not asked.web_socket)
    except (OSError, http.client.HTTPException) as cause:
        raise SystemExit(f"{asked.url}: {cause}") from None
    if status != (101 if asked.web_socket else 200) or (asked.contains or "") not in content:
        raise SystemExit(f"{asked.url}: {status} {content[:300]}")


def answer(url: str, post: bool, headers: dict[str, str], read: bool) -> tuple[int, str]:
    """Return the status and, if asked for, the text of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if post:
        headers = headers | {"Content-Type": "application/json"}
    connection.request("POST" if post else "GET", path, "{}" if post else None, headers)
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace") if read else ""
    connection.close()
    return response.status, text


if __name__ == "__main__":
    main()
