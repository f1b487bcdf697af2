"""The viewer: a memory in the browser, on this machine only.

serve      starts it and prints the link
security   the door: who may ask, from where, and what a browser may do with the answers
app        the routes; every page has a twin that ends in .json
lookout    what the pages show, as plain values (from `inspection.looking`)
stretches  how a thread is held from its first turn to its last
desk       the memories that are looked through
shapes     bars, rivers and harmless text for the templates
"""

from __future__ import annotations

from optical_memory.inspection.web.app import make_app
from optical_memory.inspection.web.serve import serve

__all__ = ["make_app", "serve"]
