"""What the pages' sources keep to: no data in Streamlit's Markdown, nothing loaded from elsewhere."""

import ast
from pathlib import Path

import pytest

import dashboards

FOLDER = Path(dashboards.__file__).parent
SOURCES = sorted(FOLDER.glob("*.py"))

# Widgets whose first argument is read as Markdown.
MARKDOWN = set(
    "title header subheader caption markdown write write_stream latex badge error warning info success toast "
    "exception metric expander tabs popover status button download_button link_button checkbox toggle radio "
    "segmented_control pills selectbox multiselect slider select_slider text_input text_area number_input "
    "date_input time_input file_uploader color_picker spinner progress table help form_submit_button "
    "page_link dialog feedback".split()
)
# Those whose options are read as Markdown as well; the options of select boxes are plain text.
MARKDOWN_OPTIONS = {"radio", "segmented_control", "pills"}
ESCAPING = "shown.py"  # the only file that makes HTML


def streamlit_calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Return the calls `st.<name>(...)`, `x.<name>` of columns and containers not being used by the pages."""
    return [
        (node.func.attr, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id == "st"
    ]  # fmt: skip


def data_in_markdown(path: str, tree: ast.AST) -> list[str]:
    """Return the calls that could hand text from data to Markdown or HTML."""
    found = []
    for name, call in streamlit_calls(tree):
        constant = bool(call.args) and isinstance(call.args[0], ast.Constant)
        if (name in MARKDOWN and not constant) or (name == "html" and path != ESCAPING):
            found.append(f"{path}:{call.lineno}: st.{name}")
        if name in MARKDOWN_OPTIONS:
            options = call.args[1]
            known = {"PARSERS", "DEPTHS", "GROUPS", "present", "UNITS", "REPORTS"}
            used = {node.id for node in ast.walk(options) if isinstance(node, ast.Name)} - {"list"}
            found += [f"{path}:{call.lineno}: {sorted(used - known)}"] if used - known else []
        if any(k.arg in ("unsafe_allow_html", "unsafe_allow_javascript") for k in call.keywords):
            found.append(f"{path}:{call.lineno}: unsafe")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "st.markdown(name)", "st.error(f'{cause}')", "st.tabs(names)", "st.html(x)", "st.radio('A', names)",
        "st.segmented_control('A', runs, format_func=str)", "st.markdown('a', unsafe_allow_html=True)",
    ],
)  # fmt: skip
def test_a_planted_leak_is_seen(source: str) -> None:
    assert data_in_markdown("x.py", ast.parse(source))


def test_data_reaches_no_markdown() -> None:
    leaks = [
        leak for path in SOURCES for leak in data_in_markdown(path.name, ast.parse(path.read_text("utf-8")))
    ]
    assert len(SOURCES) > 10
    assert not leaks


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        found |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        found |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
    return {name.partition(".")[0] for name in found}


def test_pages_import_neither_mlflow_nor_prefect_nor_anything_that_reaches_out() -> None:
    forbidden = {"mlflow", "prefect", "flows", "requests", "httpx", "urllib", "socket", "pickle", "tests"}
    for path in SOURCES:
        text = path.read_text("utf-8")
        text = text.replace("from flows.study_storage import", "from optuna import")  # where studies are kept
        assert not imported(ast.parse(text)) & forbidden, path.name
        assert "http://" not in text and "https://" not in text, path.name
