"""From finished units to numbers, tables, figures and a report.

    metrics/         one file per family: accuracy, F1, Pearson, Spearman and their means
    scenegraph/      a parser against gold graphs: set match, triple F1, SPICE
    resampling.py    bootstrap over examples and seeds
    significance.py  paired tests, Holm's correction, intervals
    declaration.py   what a file under `params/tables/` may say
    plan.py          a declared table -> cells -> the units to train
    evidence.py      the predictions of a cell's units, aligned by example
    tables.py        cells + results -> a finished table
    layout.py        a finished table -> grids of text; render.py writes them in each format
    headline.py      the sentences that a reader should take away
    plots.py         Figure 4
    report.py        one self-contained HTML file

No torch and no training in this room.
"""
