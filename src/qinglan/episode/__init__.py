"""Heavy pollution: when to warn, who cuts what, how it is lifted and what it did.

Pure: forecasts, observations, rule books and the emergency list go in; proposals, moves and completions come out.
"""
