"""Tables of bulletins, their versions and moves."""
