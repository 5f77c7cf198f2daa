"""What stays for as long as the server does, kept out of the garbage collector's way.

A full collection visits every object there is: with rules, schemas and an inventory in memory that is a pause of
some tenths of a second, in which no review is answered. Reviews themselves leave little behind for it.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """Collect once what is garbage, and pass over what is left in all collections to come.

    To be called when much has been loaded, and again when some of that has been replaced.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
