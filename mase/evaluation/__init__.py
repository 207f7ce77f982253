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
    pictured.py      the rows and units of Figure 5; embedding.py its measures, embedding_numbers.py these
                     over seeds, embedding_plot.py its pictures
    real_vectors.py  a user's vectors against proxies, real_vectors_plot.py their pictures
    finished.py      a finished unit from its folder alone
    flips.py         examples that change between two rows or units; slices.py where the difference lies
    verdict.py       one word per row: gain, placebo-equal, loss, no difference, underpowered
    report.py        one self-contained HTML file

No torch and no training in this room.
"""
