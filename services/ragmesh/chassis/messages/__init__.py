"""Contract messages and the values they stand for: one translation, used at both ends of a call.

`<thing>_to_message` and `<thing>_from_message` are each other's inverse. What a peer may not send
(an enum that is none, a vector of half a number, a part that is missing) is refused with the
name of its field; everything else comes back equal to what was sent.
"""
