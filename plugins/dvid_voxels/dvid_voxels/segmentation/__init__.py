"""Volumes of labels in the store, for the datatypes that have them: blocks, scales, ingests, indices, endpoints.

instance    `Segmentation`, the base class of the instances
keys        what is stored
settings    what an instance can be told when it is made
volume      label blocks of one scale at one version, boxes and points read from them
ingest      blocks written, with counts, extents and max label; `pyramid`: lower scales, resumed after a crash
body        label indices, their stored form; `index`: reading and changing them; `packing`: block coordinates
counters    max labels and new labels
receiving, sending, pictures    voxels and blocks on their way in and out
*_handlers  endpoints; a datatype takes the routes that it has
compiled, kernels    compiled loops
"""
