"""Fine-tuning: optimizer, loss, and what happens at every step and after every epoch.

Takes a classifier, tokenized splits and parameters. Gives trained weights, the history, and a state to resume from.
"""
