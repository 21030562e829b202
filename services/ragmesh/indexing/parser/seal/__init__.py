"""The walls that the kernel keeps: privileges, limits, files, system calls."""
