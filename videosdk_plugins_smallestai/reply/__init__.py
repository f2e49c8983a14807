"""One reply, from its text to its last sample.

`machine.py` decides, without I/O, asyncio or a clock; `driver.py` feeds it events and carries its effects out.

What was played is an exact beginning of the text's audio, and all of it unless an error is raised. The wire does
not tell enough for that in five conditions, all of them on WebSockets, which the simulation of the tests lists
by their names:

- **A stall where the text may have ended, on a server not known to say `complete` promptly.** An end is then
  guessed after a silence. Audio that comes later is played until the next segment or reply is; what comes after
  that is dropped, and counted in a warning.
- **A fragment of a continuation is not spoken, on a server that merges fragments or does not say `complete` for
  each at once.** The next fragment's audio is taken for it: the listener misses that sentence, or,
  where it is found out later, hears parts of the two in the wrong order.
- **Neither ids nor a prompt `complete` tell fragments apart** (one ``request_id`` for the whole connection, and
  each `complete` seconds late). The listener hears all of it, but a break may be mended with an error that has no
  cause.
- **Nothing tells fragments apart, and the voice is fast** (one ``request_id``, no `complete` for each, and less
  than 0.047 s of audio for a letter at speed 1). Two sentences may be taken for one that has stopped in the middle:
  what came is heard, and then the reply fails for the rest.
- **No prompt `complete` tells a fragment's end, and the voice is slow** (its audio is as long as that of this
  fragment and the next at the usual pace). The two are taken for merged. All is heard; but should the reply fail
  meanwhile, ``unspoken`` may lack the second, and a fallback then misses it.
"""
