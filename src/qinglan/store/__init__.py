"""Where data live: the lake (observations, Parquet) and the registry (everything else, SQL)."""
