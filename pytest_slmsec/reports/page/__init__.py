"""One self-contained HTML page about runs: rows out of records, a module for each picture, and the items in blocks."""
