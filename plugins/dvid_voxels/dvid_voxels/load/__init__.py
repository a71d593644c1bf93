"""Loading volumes from files: `dvid load` sends them to a running server, POST load takes one as its body.

A `Source` is read box by box, whatever its files are; libraries for files that few need are imported when they are met.
"""
