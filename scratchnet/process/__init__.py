"""What the operating system does to a running program, handled.

interrupts    Ctrl-C and SIGTERM, delayed to a point where training can stop safely
pipes         output to any terminal, file or pipe
"""
