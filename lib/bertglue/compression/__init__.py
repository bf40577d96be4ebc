"""A finished run compressed: attention heads scored, selected and pruned, the rest retrained and exported.

Takes the folder of a finished run. Gives smaller classifiers and `compression.json`, which says what each step cost.
"""
