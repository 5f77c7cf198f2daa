"""What has been loaded, kept out of the garbage collector's way.

A full collection visits every object there is: with rules, schemas and an inventory in memory that is a pause of
some tenths of a second, in which no review is answered. Reviews themselves leave little behind for it.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """Collect once what is garbage among what is new, and pass over what is left in all collections to come.

    To be called when much has been loaded. What is passed over goes when nothing refers to it any more, so it must
    not be in cycles, or stay for as long as the server does: the policies before are gone without a collection.
    """
    gc.collect()
    gc.freeze()
