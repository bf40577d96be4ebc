"""Finished runs: write and read their records, collect, predict, reproduce, submit to the leaderboard.

Takes a finished training. Gives `record.json` and the files beside it, and reads them back.
"""
