"""Windows onto `OpticalMemory` for people: the command line, the viewer, notebooks, the demo. No rules live here.

cli       the commands of `optical-memory`; `database` has those of its group db, `measuring` those that measure
options   arguments that several commands share; `completing` lets the shell complete names of threads
opening   which database and settings a command works with, and which exit code an error gets
looking   what is shown, as plain values: behind the tables, behind --json and behind the viewer alike
ageing    a span of turns at every tier, and what it will be in so many turns
reread    what a reader recovers of turns as they are shown; `diffs` compares it with the source word by word
output    bars, JSON and pieces of tables, stored text made harmless for a terminal; `tables` draws with them
reprs     how values show themselves in notebooks and terminals; `plots` draws SVG
importing transcripts in JSON Lines; `archive` a whole thread out into a folder and back; `saving` a context as files
health    what `doctor` says
demo      an agent at work on this machine, and how its memory holds it; `report` makes the page of it
web       the viewer, in a browser
"""
