"""ViLBERT (Lu et al. 2019): two streams with co-attention, for visual question answering.

What may live here: its layers (`layers`), the text stream that they step through (`text`), the models that
answer (`model`), and the released layout of its weights (`checkpoint`).
"""
