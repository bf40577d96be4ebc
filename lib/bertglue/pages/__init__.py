"""What the pages of the book show, one module to a page: tables, figures, and sentences with computed numbers."""
