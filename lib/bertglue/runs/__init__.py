"""What a run leaves on disk, and what is done with it: collect, predict, reproduce, submit to the leaderboard.

Takes a finished training. Gives `record.json` and the files beside it, and reads them back.
"""
