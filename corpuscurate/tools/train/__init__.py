"""Training of quality classifiers: documents with labels in, a model with a card out.

recipe: what the YAML holds. data: documents and labels, gathered and checked. clusters, split: copies and near-copies
never straddle training and test. trainer: the interface; fasttext: one trainer. issues: labels that are likely wrong.
evaluate, drivers: what the held-out part says. card: JSON and Markdown. job: all of it in order.
"""
