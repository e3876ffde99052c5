"""Tables of levels of review, months locked and reopened, instrument records."""
