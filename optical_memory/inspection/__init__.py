"""Windows onto `OpticalMemory` for people: the command line, the demo and its page to look at. No rules live here.

cli       the commands of `optical-memory`
opening   which database and settings a command works with, and which exit code an error gets
looking   what the commands show, as plain values; behind the tables and behind --json alike
output    tables, bars and JSON; stored text made harmless for a terminal
importing transcripts in JSON Lines
saving    a context as files
demo      an agent at work on this machine, and how its memory holds it; `report` makes the page of it
"""
