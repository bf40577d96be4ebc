"""The toy data (`source: toy`): sentences about a small made-up world, in the columns and labels of GLUE's tasks.

Takes a task and a seed. Gives splits whose labels follow from meaning; they are not GLUE.
"""
