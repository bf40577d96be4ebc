"""How good predictions are: GLUE's metrics, intervals, baselines, paired tests, and the scores that others printed.

Takes labels and logits, or records of several runs. Gives scores; it trains nothing and draws nothing.
"""
