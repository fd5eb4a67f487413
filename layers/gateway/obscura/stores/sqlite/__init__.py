"""SQLite: the stores of one machine, in one file of the data folder."""
