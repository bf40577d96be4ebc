"""BERT and the classifier on it: built, loaded from every format that is supported, saved, and asked for predictions.

Takes an encoder's name, folder or address, and text. Gives Keras models, the ids that they read, and their logits.
"""
