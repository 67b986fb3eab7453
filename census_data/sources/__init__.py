"""Where microdata comes from: the Census Bureau's API and files, or a table of one's own."""
