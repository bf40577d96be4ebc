"""Evaluate predictions: GLUE's metrics, intervals, baselines, paired tests, and the scores that others published.

Takes labels and logits, or records of several runs. Gives scores; it trains nothing and draws nothing.
"""
