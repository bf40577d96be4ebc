"""The content of each page of the book, one module a page: tables, figures, and sentences with computed numbers.

Takes the collected runs. Gives HTML tables, figures and Markdown.
"""
