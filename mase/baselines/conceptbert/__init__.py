"""ConceptBert (Garderes et al. 2020): ViLBERT's streams, a knowledge stream, and a trilinear fusion.

What may live here: the inputs and layers of the knowledge stream (`knowledge`), the fusion (`fusion`), and
the model (`model`).
"""
