"""The stores of one machine: one SQLite file in the data folder."""
