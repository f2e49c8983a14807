"""Audio out: whole samples at the rate of the track, and how much the listener still has to hear."""
