"""The report: tables and figures, the pages of the book, and the book as HTML and PDF.

Takes the records of runs and the measured data in `report/measured`. Gives what notebooks show, and the built book.
"""
