"""Tables of what the public reports, and its photos."""
