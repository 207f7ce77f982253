"""The dashboard: Streamlit pages over the tracking store, the units and the reports of `$MASE_HOME`.

What may live here: `app.py`, one file per page, and what pages share: reading (`store.py`), the tree
of runs, colours, and the only ways in which text from data sets reaches a page (`shown.py`). Pages
read; they train nothing and write nothing. MLflow is not imported here.
"""
