"""What a run leaves on disk, and what can be done with it: records, their collection, prediction, reproduction, submission.

Takes a finished training. Gives `record.json` and the files beside it, and reads them back.
"""
