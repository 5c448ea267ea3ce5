"""The shells: everything that touches the loop, a socket, a process, a file or a clock.

Each module carries out what the pure packages decided, and reports back what came of it.
Foreign exceptions end here.
"""
