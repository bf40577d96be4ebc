"""A classifier for use elsewhere: a SavedModel, LiteRT files, and Keras files with quantized weights.

Takes a classifier and its preprocessor. Gives files, and what is measured by running them.
"""
