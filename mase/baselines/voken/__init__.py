"""VOKEN (Tan and Bansal 2020): a language model that also learned to name an image for each token.

The baseline itself is a backbone: fine-tuning needs no vokens, so a released checkpoint is loaded as a plain
BERT (`mase.model.voken_layout`, `params/backbones/voken-*.yaml`) and trained like any other. What may live
here is the pre-training for those who have no checkpoint: `vokens` gives each token its image, `pretraining`
teaches a backbone to name them, and a control beside it that sees the same batches without.
"""
