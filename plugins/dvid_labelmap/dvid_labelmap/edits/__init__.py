"""Edits of bodies: each is one commit of indices, mapping, voxels, log record and events.

draft       `Draft`, what one edit stages; `perform`, which runs it under the locks of its bodies
journal     what each edit did and what the bodies were before, for undo, lineage and reads of the past
names       new labels, and names that are taken
merge, cleave, renumber, split, body_split, undo    the edits
cutting     blocks of voxels with supervoxels cut in two or mended
"""
