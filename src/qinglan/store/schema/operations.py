"""Tables of jobs of the scheduler and their runs."""
