"""Text in: a stream of text as segments that fit the voice and the service."""
