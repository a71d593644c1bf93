"""What the voxel datatypes share.  No datatype itself.

Arrays are z, y, x everywhere in here; the wire says x, y, z.  A voxel is an opaque little-endian item of 1, 2, 4 or 8
bytes (`rgba8` is one of 4) until an image is made of it.
"""
