"""Words: where in the audio each is spoken, and telling it when the listener hears it."""
