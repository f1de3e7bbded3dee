"""`python -m scaling_lab` is the command line."""

from scaling_lab.cli import main

main()
