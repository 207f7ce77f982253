"""The pages and notices: what they say of params, messages, variables, licences and versions is so."""

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.params_page import BLOCKS, MARKED, filled, page, write
from mase import __version__
from mase.licences import PACKAGE, terms_in_use
from mase.params import Params, available, load_params, parse_override
from mase.params.files import _fields_at

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
AGAIN = "run: python -m flows.params_page docs"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


def test_the_pages_say_what_the_params_say(tmp_path: Path) -> None:
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy)
    assert [path.name for path in write(copy)] == [], AGAIN
    (copy / "params.md").write_text("stale")
    assert [path.name for path in write(copy)] == ["params.md"]
    assert write(copy) == []


def test_every_mark_is_filled_and_every_part_is_used() -> None:
    marks = [found[2] for path in PAGES for found in MARKED.finditer(path.read_text(encoding="utf-8"))]
    assert sorted(marks) == sorted(BLOCKS)
    assert filled("<!-- written: tower keys -->\nold\n<!-- end -->").count("| `name` |") == 1


def test_the_page_has_every_file_and_every_key() -> None:
    text = page()
    kinds = ("profiles", "presets", "methods", "ablations", "controls", "tasks", "towers", "backbones")
    for kind in kinds:
        assert not [name for name in available(kind) if f"`{name}`" not in text]
    for name, field in Params.model_fields.items():
        inner = [inner for inner in _fields_at(Params, [name]) if name not in ("task", "towers")]
        expected = [f"| `{name}.{key}` |" for key in inner if not _fields_at(Params, [name, key])]
        expected = expected or ([f"| `{name}` |"] if not _fields_at(Params, [name]) else [])
        assert not [key for key in expected if key not in text], field


def override_keys(text: str) -> list[str]:
    """Return the keys of all `--set a.b=c` of a page, over line breaks too; `key=value` stands for any."""
    return re.findall(r"--set\s+(?!key=value)([\w.]+)=", text)


def is_key(dotted: str) -> bool:
    """Tell whether a dotted key leads to a field of the params."""
    *parents, last = dotted.split(".")
    inside = list(Params.model_fields) if not parents else _fields_at(Params, parents)
    if parents[:1] == ["towers"] or dotted.startswith("towers."):
        return dotted.split(".")[1] in ("image", "audio", "video", "text")
    return last in inside


def test_every_setting_in_the_documentation_is_one() -> None:
    assert not is_key("contrastive.alpa") and not is_key("alpha") and is_key("contrastive.alpha")
    pages = [ROOT / "README.md", *PAGES]
    keys = {(path.name, key) for path in pages for key in override_keys(path.read_text(encoding="utf-8"))}
    assert len(keys) > 15
    assert not {where for where in keys if not is_key(where[1])}
    assert parse_override("graph=null") == {"graph": None}


@pytest.mark.parametrize(
    "fragment",
    [
        "not found",
        "unknown label",
        "is not there. Looked for it at",
        "cannot load",
        "does not match its checksum; delete",
        "is a folder or has no scheme",
    ],
)
def test_a_message_that_troubleshooting_explains_is_still_said(fragment: str) -> None:
    shown = re.findall(r"\*\*[^*]*\*\*", text_of("docs/troubleshooting.md"), flags=re.DOTALL)
    words = fragment.split("; ")[0].split(". ")[0]
    assert any(words in " ".join(heading.split()) for heading in shown)
    assert fragment in code_of("mase")


def test_every_variable_in_the_documentation_is_read() -> None:
    variable = re.compile(r"\bMASE_[A-Z_]+")
    read = set(variable.findall(code_of("mase") + code_of("flows") + compose()))
    named = {name for path in PAGES for name in variable.findall(path.read_text(encoding="utf-8"))}
    assert "MASE_JAVA_METRICS" in named
    assert not named - read


def compose() -> str:
    path = ROOT / "docker-compose.yml"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_the_notice_has_the_terms_of_all_weights() -> None:
    notice = " ".join(text_of("NOTICE").split())
    shipped = [*PACKAGE.rglob("*.safetensors"), *PACKAGE.rglob("*.npz")]
    assert len(shipped) == 5
    for weights in shipped:
        folder = weights.parent.relative_to(ROOT).as_posix()
        assert f"{folder}/{weights.stem}.*" in notice, weights
        assert (weights.parent / "LICENCE.md").is_file()
    for path in (PACKAGE / "proxies" / "weights").glob("*.manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        assert manifest["use"].partition(",")[0].partition(";")[0] in notice
        for entry in manifest["data"].values():
            named = entry["title"].partition(" (")[0].partition(",")[0].removesuffix(" of words")
            assert named.removesuffix(" text vectors of LVIS and Open Images names") in notice, entry["title"]
    tagger = json.loads((PACKAGE / "scenegraph" / "weights" / "tagger.json").read_text(encoding="utf-8"))
    assert tagger["licence"].partition(",")[0] in notice


def terms(*overrides: str, overlays: tuple[str, ...] = ()) -> dict[str, str]:
    params = load_params("looks", profile="demo", overrides=overrides, overlays=overlays)
    return {found.weights: found.sentence() for found in terms_in_use(params)}


def test_the_terms_in_use_are_those_of_the_weights_that_a_run_reads() -> None:
    whole = terms()
    assert set(whole) == {
        "language model all-MiniLM-L6-v2", "image tower embedded-image", "audio tower embedded-audio",
        "video tower embedded-video", "part-of-speech tagger", "scene-graph parser",
    }  # fmt: skip
    assert "MIT, by the metadata of package" in whole["language model all-MiniLM-L6-v2"]
    assert "academic use only, because of AudioCaps" in whole["audio tower embedded-audio"]
    assert "CC BY-SA 4.0" in whole["part-of-speech tagger"]
    assert set(whole) - set(terms("graph=null")) == {"part-of-speech tagger", "scene-graph parser"}
    rules = terms("graph.parser=rules")
    assert "part-of-speech tagger" in rules and "scene-graph parser" not in rules
    random = terms(overlays=("controls/random_towers",))
    assert "drawn at random" in random["image tower random-image"]
    real = terms("towers.audio=audioclip")
    assert "the terms of its publisher" in real["audio tower audioclip"]


def test_the_text_only_method_reads_no_tower() -> None:
    assert not [weights for weights in terms(overlays=("methods/text",)) if "tower" in weights]


def test_the_parsers_terms_are_those_of_its_licence_file() -> None:
    licence = " ".join((PACKAGE / "scenegraph" / "learned" / "weights" / "LICENCE.md").read_text().split())
    (parser,) = [found for weights, found in terms().items() if weights == "scene-graph parser"]
    for said in ("FACTUAL", "Visual Genome", "CC BY 4.0", "MIT badge", "attribution"):
        assert said in licence and said in parser


def test_the_citation_names_this_version_and_the_paper() -> None:
    cited: dict[str, Any] = yaml.safe_load(text_of("CITATION.cff"))
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["type"] == "software"
    assert (cited["title"], cited["version"]) == (project["name"], project["version"])
    assert cited["version"] == __version__ and cited["license"] == project["license"]
    assert [author["name"] for author in cited["authors"]] == [a["name"] for a in project["authors"]]
    (paper,) = cited["references"]
    assert "".join(paper["title"].split()) in "".join(text_of("README.md").split())
    assert paper["year"] == 2024 and len(paper["authors"]) == 6
    assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])


def test_the_commit_hooks_are_the_checks_of_the_makefile() -> None:
    (local,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    assert len(hooks) == len(local["hooks"])
    entries = {name: hook["entry"].replace(" --force-exclude", "") for name, hook in hooks.items()}
    check = text_of("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    for name in ("ruff-check", "ruff-format", "pyright"):
        assert f"$(BIN)/{entries[name]}" in check
    for hook in hooks.values():
        assert hook["language"] == "system" and hook["name"]
        assert shutil.which(hook["entry"].split()[0], path=str(Path(sys.executable).parent)), hook["entry"]
