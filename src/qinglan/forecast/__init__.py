"""What the air will be: baselines, models that learn, blending, calibration and verification.

Pure: observations up to a cut-off hour, weather and a calendar go in, quantiles come out. ``now`` and ``rng`` are
arguments.
"""
