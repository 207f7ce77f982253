"""Start the server: `python -m dashboards [Streamlit's options]`.

What pages need is imported before the server listens, so that nobody waits for it: the first page
reads a store, and the scene graphs' towers and parser bring in torch and OpenCLIP.
"""

import sys
from importlib import import_module
from pathlib import Path

APP = Path(__file__).with_name("app.py")
NEEDED = (
    "altair",
    "optuna.importance",
    "mase.tracking.listing",
    "mase.scenegraph.learned",
    "mase.proxies",
    "open_clip",
)
OPTIONS = (
    "--server.headless=true",  # or it asks for an e-mail address
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    "--theme.light.primaryColor=#0072B2",
    "--theme.dark.primaryColor=#2F81C7",
    "--logger.level=warning",
)


def main() -> None:
    """Import what pages read with, then hand over to Streamlit."""
    for module in NEEDED:
        import_module(module)
    from streamlit.web import cli

    sys.argv = ["streamlit", "run", str(APP), *OPTIONS, *sys.argv[1:]]
    cli.main()


if __name__ == "__main__":
    main()
