"""Pre-training of a BERT from scratch: masked words and next sentences, on text of one's own.

Takes text files. Gives a WordPiece vocabulary, a packed corpus, and an encoder that `load_encoder` reads.
"""
