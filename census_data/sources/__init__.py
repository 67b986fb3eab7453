"""Sources of microdata: the Census Bureau's API and files (ACS, PUMS), or a user's own table."""
