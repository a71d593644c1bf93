"""Volumes of labels in the store, for the datatypes that have them: blocks, scales, ingests, indices, endpoints.

instance    `Segmentation`, the base class of the instances
keys        what is stored
settings    what an instance can be told when it is made
volume      label blocks of one scale at one version, boxes and points read from them
ingest      blocks written, with counts, extents and max label; `pyramid`: lower scales, resumed after a crash
body        label indices, their stored form; `index`: reading and changing them; `packing`: block coordinates
sparse      where bodies are, and their voxels page by page; `sparse_forms`: runs and masks, `sparse_coarse`: blocks,
            `sparse_small`: small bodies without arrays, `sparse_pile`: replies whose beginning is known at the end
nanovdb     the layout of NanoVDB index grids; `nanovdb_grid`: a grid that grows
relabeling  merges and splits of types whose voxels hold bodies, by `rewriting`: many blocks changed by one small commit
finishing   what is left to do after a commit, and `unfinished`: the versions at which there is such work
merging     versions with several parents: what is read where they disagree
counters    max labels and new labels
offered     what other datatypes may ask: `LabelsAt`, `LabelBlocks`, `Voxels`
ragged      bounds of sparse volumes as labelarray has them; `blobs`: what log records refer to
receiving, sending, pictures    voxels and blocks on their way in and out
*_handlers  endpoints; a datatype takes the routes that it has
compiled, kernels    compiled loops
"""
