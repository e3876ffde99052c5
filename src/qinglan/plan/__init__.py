"""The plan and its rules: content files loaded, checked, and frozen on a date."""
