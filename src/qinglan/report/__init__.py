"""Documents: figures, tables and bulletins. Data in, bytes out."""
