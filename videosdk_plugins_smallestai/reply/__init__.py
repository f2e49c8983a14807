"""One reply, from its text to its last sample.

`machine.py` decides, without I/O, asyncio or a clock; `driver.py` feeds it events and carries its effects out.
"""
