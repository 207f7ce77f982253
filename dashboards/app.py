"""The app: its pages in one menu. `python -m dashboards` runs this file."""

import streamlit as st

from dashboards import (
    allocation,
    cost,
    embedding,
    information,
    runs,
    scene_graphs,
    studies,
    tables,
)
from dashboards.shown import styles

PAGES = {
    "Runs": runs.page,
    "Tables": tables.page,
    "Allocation": allocation.page,
    "Information": information.page,
    "Scene graphs": scene_graphs.page,
    "t-SNE": embedding.page,
    "Studies": studies.page,
    "Cost": cost.page,
}


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="mase", layout="wide")
    styles()
    pages = [
        st.Page(
            page, title=title, url_path="" if at == 0 else title.lower().replace(" ", "-"), default=at == 0
        )
        for at, (title, page) in enumerate(PAGES.items())
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
