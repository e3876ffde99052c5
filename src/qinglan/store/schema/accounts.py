"""Tables of people, their grants, sessions and keys."""
