"""Commands around the library: download, inspect, lock, carry the address, compile for a TPU, plan the graph of runs.

Takes what the command line, the Makefile or the Snakefile hands over. Nothing else imports them.
"""
