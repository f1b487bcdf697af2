"""`python -m optical_memory` is the command `optical-memory`."""

from optical_memory.inspection.cli import main

if __name__ == "__main__":
    main()
