"""Page: the scene graph of a typed sentence, and what each entity's proxies are near to."""

import pandas as pd
import streamlit as st

from dashboards import drawn, shown, store
from dashboards.neighbours import MODALITIES, neighbours, vocabulary
from mase.scenegraph import SceneGraph, parse_function

SENTENCE = "A red bus passes a small dog near the old church."
LONGEST = 600  # characters
PARSERS = ["learned", "rules"]  # what training can use without a package of its own
COUNT = 5
KINDS = {
    False: "embedded towers, stand-ins trained on captions",
    True: "randomly initialised towers, which show what spelling alone gives",
}


def page() -> None:
    """Parse what is typed, draw it, and list the neighbours of its entities."""
    st.title("Scene graphs")
    sentence = st.text_input("Sentence", SENTENCE, max_chars=LONGEST)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        parser = st.segmented_control("Parser", PARSERS, default=PARSERS[0], required=True)
        random = st.toggle("Random towers (placebo)")
    with store.explained(), st.spinner("Reading the sentence"):
        graph = parse_function(parser or PARSERS[0])([sentence])[0]
        if not graph.entities:
            shown.note("No entity was found in this sentence.")
            return
        _draw(graph)
        _neighbours(graph, random)


def _draw(graph: SceneGraph) -> None:
    drawing = as_dot(graph, drawn.ink(), drawn.accent())
    st.graphviz_chart(drawing, width="content", alt="The scene graph of the sentence")
    facts = pd.DataFrame(graph.facts, columns=["subject", "predicate", "object"])
    if len(facts):
        with st.expander("Facts"):
            st.dataframe(facts, hide_index=True, width="stretch")


def _neighbours(graph: SceneGraph, random: bool) -> None:
    st.subheader("Nearest objects of each entity")
    phrases = list(dict.fromkeys(graph.phrase(at) for at in range(len(graph.entities))))
    for column, modality in zip(st.columns(len(MODALITIES)), MODALITIES, strict=True):
        with column:
            shown.title(modality)
            found = neighbours(modality, phrases, COUNT, random)
            said = [
                (p, ", ".join(f"{name} {cosine:.2f}" for name, cosine in near)) for p, near in found.items()
            ]
            shown.table(("entity", "nearest (cosine)"), said)
    shown.note(
        f"Cosine of proxies, the vocabulary's mean subtracted; {KINDS[random]}. Neighbours are sought among "
        f"the {len(vocabulary())} object names of the embedded tasks' lexicon, which come with the project."
    )


def as_dot(graph: SceneGraph, ink: str, accent: str) -> str:
    """Return a graph in Graphviz's language: entities boxes, attributes ovals, relations labelled edges."""
    lines = [
        "digraph {",
        'rankdir=LR; bgcolor="transparent"; ranksep=0.35; nodesep=0.2;',
        f'node [fontname="sans-serif", fontsize=12, color="{ink}", fontcolor="{ink}"];',
        f'edge [fontname="sans-serif", fontsize=11, color="{ink}", fontcolor="{accent}"];',
    ]
    for at, entity in enumerate(graph.entities):
        lines.append(f"e{at} [shape=box, style=rounded, penwidth=1.5, label={quoted(entity.head)}];")
        for number, value in enumerate(entity.attributes):
            lines.append(f"a{at}_{number} [shape=ellipse, fontsize=11, label={quoted(value)}];")
            lines.append(f"e{at} -> a{at}_{number} [arrowhead=none, style=dashed];")
    lines += [f"e{r.subject} -> e{r.object} [label={quoted(f' {r.predicate} ')}];" for r in graph.relations]
    return "\n".join([*lines, "}"])


def quoted(text: str) -> str:
    """Return text as a string of Graphviz's language, where backslash, quote and ampersand mean something."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return '"' + clean.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') + '"'
