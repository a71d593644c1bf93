"""Test kit of label volumes, for datatypes that have them; it needs the extra "test" of dvid-core.

meaning     what replies mean: decoders for `dvid_core.testing.replay`, written without the code that they test
bodies      the same of sparse volumes
blocks      label blocks
volume      labels made up, and a volume of labels as tests ask it
"""
