"""Pipeline: the one sequence of steps that every request takes, whatever its dialect and its upstream."""
