"""The examples of a task, from their files to padded batches.

Takes a task and where its text lies: the toy generator, an official GLUE folder, or tensorflow-datasets. Gives `Data`
(the splits as columns of text with their labels), then token ids on disk, then batches of arrays.
"""
