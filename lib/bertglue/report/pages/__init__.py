"""What each page of the book shows, one module a page: tables, figures, and sentences with computed numbers.

Takes the collected runs. Gives HTML tables, figures and Markdown.
"""
