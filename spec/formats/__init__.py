"""File formats: read and write, strict, with errors that name file and place."""
