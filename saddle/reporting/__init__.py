"""What a person gets: curves, tables, documents and pictures."""
